import type { PrismaClient } from '../../generated/client.ts';

/**
 * What the values of an enum are called in the database, by `@map`. A generated client has this in the schema's text
 * only; undefined where that does not tell.
 */
export function readEnum(prisma: PrismaClient, name: string): ReadonlyMap<string, string> | undefined {
  const config: unknown = Reflect.get(prisma, '_engineConfig');
  const text = (config as { inlineSchema?: unknown } | undefined)?.inlineSchema;
  if (typeof text !== 'string') return undefined;
  // What stands in a comment is none of it.
  const bare = text.replaceAll(/"(?:[^"\\]|\\.)*"|\/\/[^\n]*/g, (part) => (part.startsWith('"') ? part : ''));
  const within = String.raw`((?:"(?:[^"\\]|\\.)*"|[^}"])*)`;
  const [, body] = new RegExp(String.raw`^\s*enum\s+${name}\s*\{${within}\}`, 'm').exec(bare) ?? [];
  if (body === undefined) return undefined;
  const values = body.matchAll(/^[ \t]*(\w+)[ \t]*(?:@map\((?:name:\s*)?("(?:[^"\\]|\\.)*")\))?/gm);
  return new Map(
    [...values].map(([, value = '', mapped]) => [
      value,
      mapped === undefined ? value : String(JSON.parse(mapped)),
    ]),
  );
}
