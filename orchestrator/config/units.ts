import { posix } from 'node:path';
import { z } from 'zod';

/** Durations and sizes as people write them: a number and a unit, never a bare number. */

const durationUnits = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

const durationForm = 'must be a duration such as 30s, 500ms or 2m';

/** "500ms", "30s", "2m", "1h" -> milliseconds. */
export const duration = z
  .string({ error: durationForm })
  .regex(/^\d+(\.\d+)?(ms|s|m|h)$/, durationForm)
  .transform((text) => {
    const unit = /[a-z]+$/.exec(text)?.[0] as keyof typeof durationUnits;
    return Math.round(Number.parseFloat(text) * durationUnits[unit]);
  })
  .meta({ description: 'A duration with its unit: 500ms, 30s, 2m, 1h.' });

const insideForm = 'must be a path inside the checkout (relative, without "..")';

/** A path that stays inside the checkout: relative, no "..", not absolute. */
export const insidePath = z
  .string({ error: insideForm })
  .min(1, insideForm)
  .refine((path) => !path.startsWith('/') && !path.split('/').includes('..'), { message: insideForm })
  .transform((path) => posix.normalize(path).replace(/\/+$/, ''));

const identifierForm = 'must be lower-case letters, digits and hyphens, at most 40, starting with a letter';

export const identifier = z.string({ error: identifierForm }).regex(/^[a-z][a-z0-9-]{0,39}$/, identifierForm);

/** What a later version will bring. It is refused by name: nothing that is written here is silently ignored. */
export function notYet(what: string) {
  return z.never({ error: `${what} is not supported yet` });
}

export const argv = z
  .union([z.string().trim().min(1), z.array(z.string()).min(1)], {
    error: 'must be a command: words separated by spaces, or a list of arguments',
  })
  .meta({ description: 'A command: words separated by spaces, or a list of arguments. No shell reads it.' });

const variableForm = 'must be the name of an environment variable';
export const variable = z.string({ error: variableForm }).regex(/^[A-Za-z_][A-Za-z0-9_]*$/, variableForm);
const value = z.union([z.string(), z.number(), z.boolean()], {
  error: 'must be a text, a number, or true or false',
});
export const environment = z.record(variable, value.transform(String));
