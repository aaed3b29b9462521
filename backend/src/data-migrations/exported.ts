import { pathToFileURL } from 'node:url';
import type { PrismaClient } from '../generated/client.ts';
import { instantiate, type Class, type Services } from './instantiate.ts';
import { findLine } from './location.ts';
import type { DataMigration, MigrationContext } from './migration.ts';
import { readShouldRun, readVerification } from './outcome.ts';
import type { Description, Job } from './protocol.ts';
import { describeError } from './refusal.ts';

/** The id that `template.ts` carries. */
export const PLACEHOLDER_ID = 'CHANGE_ME_TO_MATCH_FILENAME';

/** A migration with its arguments already given, whatever the style it is written in. */
export interface Runnable {
  shouldRun(): Promise<boolean>;
  up(): Promise<unknown>;
  down(): Promise<unknown>;
  /** @returns its report, where it gave one. @throws Error for one that is not good */
  verify(): Promise<string | undefined>;
}

type Parts = Partial<Record<keyof DataMigration | 'name', unknown>>;
type Method = (this: unknown, ...args: unknown[]) => unknown;

/** What a module offers: an object to be used as it is, or a class to be made one of. */
type Found = { readonly object: Parts } | { readonly class: Class };
interface NotFound {
  readonly problem: string;
}

/** Imports a migration's file and says what it is; nothing of it is run. */
export async function describeExport(job: Job): Promise<Description> {
  let exported: unknown;
  try {
    exported = await import(pathToFileURL(job.file).href);
  } catch (error) {
    const line = findLine(error, job.file);
    return {
      ...{ id: undefined, hasDown: false, problem: `it does not load: ${describeError(error)}` },
      ...(line === undefined ? {} : { line }),
    };
  }
  const found = find(exported);
  if ('problem' in found) return { id: undefined, hasDown: false, problem: found.problem };
  try {
    return await describe(found, job.id);
  } catch (error) {
    return { id: undefined, hasDown: false, problem: `its class cannot be made: ${describeError(error)}` };
  }
}

async function describe(found: Found, id: string): Promise<Description> {
  const services: Services = { prisma: nothing(), logger: console, context: nothing() };
  const parts = 'class' in found ? ((await instantiate(found.class, services)) as Parts) : found.object;
  const problem = findProblem(parts, id, 'class' in found);
  const text = (key: keyof Parts): Record<string, string> => {
    const value = parts[key];
    return typeof value === 'string' || typeof value === 'number' ? { [key]: String(value) } : {};
  };
  return {
    id: parts.id ?? id,
    ...text('description'),
    ...text('version'),
    ...text('introducedIn'),
    ...text('requiredBefore'),
    hasDown: typeof parts.down === 'function' && parts.rollbackable !== false,
    ...(problem === undefined ? {} : { problem }),
  };
}

function findProblem(parts: Parts, id: string, asClass: boolean): string | undefined {
  const own = parts.id ?? (asClass ? parts.name : undefined);
  if (own === PLACEHOLDER_ID) return `its id is still the template's; set it to "${id}"`;
  if (parts.id === undefined && !asClass) return `it has no id; set it to "${id}"`;
  if (parts.id !== undefined && parts.id !== id)
    return `its id is ${JSON.stringify(parts.id)} but must equal the file's name, "${id}"`;
  if (typeof parts.up !== 'function') return '"up" is not a function';
  for (const name of ['shouldRun', 'down', 'verify'] as const) {
    const method = parts[name];
    if (method !== undefined && typeof method !== 'function') return `"${name}" is not a function`;
  }
  return undefined;
}

/** @throws Error when the module offers no migration. */
export async function findMigration(
  exported: unknown,
  id: string,
  prisma: PrismaClient,
  context: MigrationContext,
): Promise<Runnable> {
  const found = find(exported);
  if ('problem' in found) throw new Error(found.problem);
  const asClass = 'class' in found;
  const services = { prisma, logger: loggerOf(context), context: asContext(prisma, context) };
  const parts = asClass ? ((await instantiate(found.class, services)) as Parts) : found.object;
  const problem = findProblem(parts, id, asClass);
  if (problem !== undefined) throw new Error(problem);
  // Classes are written for a context that holds the client; objects get the client itself.
  const first = asClass ? services.context : prisma;
  const call = async (name: 'shouldRun' | 'up' | 'down' | 'verify'): Promise<unknown> => {
    const method = parts[name] as Method | undefined;
    return await method?.call(parts, first, context);
  };
  return {
    shouldRun: async () => readShouldRun(await call('shouldRun')),
    up: async () => await call('up'),
    async down() {
      if (typeof parts.down !== 'function') throw new Error('it has no down()');
      if (parts.rollbackable === false) throw new Error('it says of itself that it is not rollbackable');
      return await call('down');
    },
    verify: async () => readVerification(await call('verify')),
  };
}

const NOTHING = { problem: 'it does not export "migration"; see template.ts' };

function find(exported: unknown): Found | NotFound {
  if (!isObject(exported)) return NOTHING;
  const fallback = exported['default'];
  const places = [exported['migration'], isObject(fallback) ? fallback['migration'] : undefined, fallback];
  for (const place of places) {
    if (isClass(place)) return { class: place };
    if (isObject(place) && ('up' in place || 'id' in place)) return { object: place };
  }
  const values = [...Object.values(exported), ...(isObject(fallback) ? Object.values(fallback) : [])];
  const [first, ...others] = withoutParents([...new Set(values.filter(isClass))]);
  if (first && others.length > 0) {
    const names = [first, ...others].map(({ name }) => name).join(' and ');
    return {
      problem: `it exports several classes with an up() (${names}): export the one that is the migration as default`,
    };
  }
  if (first) return { class: first };
  if ('up' in exported) return { object: exported };
  return exported['migration'] === undefined ? NOTHING : { object: exported['migration'] as Parts };
}

/** A class that another one extends is not the migration. */
function withoutParents(classes: readonly Class[]): Class[] {
  return classes.filter((one) => classes.every((other) => !Object.prototype.isPrototypeOf.call(one, other)));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isClass(value: unknown): value is Class {
  if (typeof value !== 'function') return false;
  const prototype: unknown = value.prototype;
  return isObject(prototype) && typeof prototype['up'] === 'function';
}

function loggerOf({ log }: MigrationContext): Record<string, (...args: unknown[]) => void> {
  const say = (...args: unknown[]): void => log(args.map(String).join(' '));
  return { log: say, info: say, warn: say, error: say, debug: () => {}, verbose: () => {}, trace: () => {} };
}

/** The context, under the names that people use, and the client's own members beside them. */
function asContext(prisma: PrismaClient, context: MigrationContext): object {
  const own = { ...context, db: prisma, client: prisma, tx: prisma, logger: loggerOf(context) };
  return new Proxy(own, {
    get: (target, key) =>
      key in target ? Reflect.get(target, key) : (Reflect.get(prisma, key, prisma) as unknown),
  });
}

/** Takes any call and any property: a constructor may look at its client, but there is no database while describing. */
function nothing(): unknown {
  const proxy: unknown = new Proxy(() => {}, {
    get: (_, key) => (key === 'then' ? undefined : proxy),
    apply: () => proxy,
  });
  return proxy;
}
