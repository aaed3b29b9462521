import type { ReadRow } from './rows.ts';
import type { Source } from './source.ts';
import { describe, isThenable, toText, type Place } from './values.ts';
import { KEPT, type Change } from './write-changes.ts';

/**
 * What a callback returned for a row, as texts by column; undefined where it returned none. A number is what Prisma's
 * `$executeRaw` gives. As Prisma has it, undefined leaves a column as it is.
 *
 * @throws Error for what is no change, for another key, and for what the column cannot hold as it is
 */
export function readChanges(source: Source, row: ReadRow, returned: unknown): Change['values'] | undefined {
  if (returned === undefined || returned === null || typeof returned === 'number') return undefined;
  if (!isChanges(returned))
    throw new Error(`what was returned for it ${describe(returned)}; give an object with the new values`);
  const columns: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(returned) as [string, unknown][]) {
    if (value === undefined) continue;
    const column = source.columnOf(name);
    const isKey = source.target.key.includes(column);
    if (!isKey) columns[column] = source.toColumn(row, name, value);
    // A row that moves to where the batch has yet to come would be done again.
    else if (!row.isUnchanged(name, value) && !isSameKey(value, row.get(name)))
      throw new Error(
        `it gets another ${name}, by which the batch goes: take it out, or go by another "key"`,
      );
  }
  return columns;
}

/** Of a bigint, which comes as text, some give back a number. */
function isSameKey(one: unknown, other: unknown): boolean {
  const isPlain = (value: unknown): value is string | number | bigint =>
    typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint';
  return isPlain(one) && isPlain(other) && String(one) === String(other);
}

function isChanges(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || isThenable(value)) return false;
  return ![Map, Set, Date, Uint8Array].some((one) => value instanceof one);
}

/**
 * A value as PostgreSQL's text, or KEPT where it is still what was read.
 *
 * @param own what the column has for a value: of an enum of Prisma's
 */
export function toPostgres(
  row: ReadRow,
  place: Place,
  value: unknown,
  own: (value: unknown) => unknown = (one) => one,
): string | null | typeof KEPT {
  if (row.isUnchanged(place.name, value)) return KEPT;
  const whole = row.textOf(value, place.type);
  if (whole !== undefined) return whole;
  const text = toText(own(value), place);
  const isExact = text === null || !(typeof value === 'object' || typeof value === 'number');
  const rounded = isExact ? undefined : row.findRounded(text);
  if (rounded === undefined) return text;
  throw new Error(
    `"${place.name}" would hold the number ${rounded} rounded, as JavaScript has it: change it by "set" (jsonb_set, for example)`,
  );
}
