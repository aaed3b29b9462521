import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite';
import type { Cursor } from '../batch/source.ts';
import type { Range } from '../batch/update-range.ts';
import { quote } from '../identifiers.ts';
import { decodeKey, encodeKey, keyTerms, marksOf, tupleOf, type SqliteTarget } from './target.ts';

/** On a line of its own: it may end in a comment. */
export const alsoWhere = (where: unknown): string => (typeof where === 'string' ? ` AND (${where}\n)` : '');

/**
 * Changes the next rows by one UPDATE over a range of keys, whose end is looked up first.
 *
 * @returns how many were changed, and the range's end; no end when there was no row any more
 * @throws Error when a row has moved to where the batch has yet to come, by `set` or by a trigger: it would be done again
 */
export function updateRange(
  database: DatabaseSync,
  target: SqliteTarget,
  { set, where, after, size }: Range,
): { count: number; last: Cursor | undefined } {
  const terms = keyTerms(target);
  const from = (after ?? []).map(decodeKey);
  const beyond = after === undefined ? 'true' : `${tupleOf(terms)} > ${marksOf(target)}`;
  const columns = target.key.map((column) => quote.name(column));
  const [found] = arraysOf(
    database.prepare(
      `SELECT ${columns.join(', ')}, count(*) OVER () FROM (
         SELECT ${columns.map((column) => `t.${column}`).join(', ')} FROM ${target.table} AS t
         WHERE ${beyond}${alsoWhere(where)} ORDER BY ${terms.join(', ')} LIMIT ${size}
       ) AS t ORDER BY ${terms.map((term) => `${term} DESC`).join(', ')} LIMIT 1`,
    ),
    from,
  );
  if (found === undefined) return { count: 0, last: undefined };
  const count = found.at(-1);
  const last = found.slice(0, -1).map(encodeKey);
  const to = last.map(decodeKey);
  verifyLeadsOn(database, target, last);
  const verifyUnmoved = watchBeyond(database, target, to);
  const inRange = `${beyond} AND ${tupleOf(terms)} <= ${marksOf(target)}`;
  const countRange = (): number =>
    Number(
      arraysOf(database.prepare(`SELECT count(*) FROM ${target.table} AS t WHERE ${inRange}`), [
        ...from,
        ...to,
      ])[0]?.[0],
    );
  const before = mayMoveBesides(database, target) ? countRange() : undefined;
  const moved = arraysOf(
    database.prepare(
      `UPDATE ${target.table} AS t SET ${set}
       WHERE ${inRange}${alsoWhere(where)}
       RETURNING ${tupleOf(keyTerms(target, ''))} > ${marksOf(target)}`,
    ),
    [...from, ...to, ...to],
  );
  if (moved.some(([isMoved]) => isMoved === 1n)) throw movedOn(target);
  verifyUnmoved();
  // Those that a trigger has deleted are not left out.
  const left = before === undefined ? 0 : Number(count) - moved.length - Math.max(0, before - countRange());
  if (left > 0)
    throw new Error(
      `batch: ${left} rows of ${quote.plain(target.table)} were not changed: a trigger left them out`,
    );
  return { count: moved.length, last };
}

function movedOn(target: SqliteTarget): Error {
  return new Error(
    `batch: the key (${target.key.join(', ')}) of rows of ${quote.plain(target.table)} moves on to where the batch has yet to come, by "set", by a trigger or by a foreign key ON UPDATE: take it out, or go by another "key"`,
  );
}

/**
 * Before rows are written: what a trigger does is not in RETURNING, which does not know of the alias either.
 *
 * @param last how far the batch reaches
 * @returns looks afterwards; throws when there are more rows beyond than before
 */
export function watchBeyond(
  database: DatabaseSync,
  target: SqliteTarget,
  last: readonly SQLInputValue[],
): () => void {
  if (!mayMoveBesides(database, target)) return () => {};
  const sql = `SELECT count(*) FROM ${target.table} AS t WHERE ${tupleOf(keyTerms(target))} > ${marksOf(target)}`;
  const count = (): bigint => BigInt(String(arraysOf(database.prepare(sql), last)[0]?.[0]));
  const before = count();
  return () => {
    if (count() > before) throw movedOn(target);
  };
}

/**
 * A text that is no UTF-8 is read as another one, which may lie before where the batch was: it would never come to its end.
 *
 * @throws Error when the key, as it was read, is not that of its row
 */
export function verifyLeadsOn(database: DatabaseSync, target: SqliteTarget, last: Cursor): void {
  const sql = `SELECT 1 FROM ${target.table} AS t WHERE ${tupleOf(keyTerms(target))} = ${marksOf(target)}`;
  if (database.prepare(sql).get(...last.map(decodeKey)) !== undefined) return;
  throw new Error(
    `batch: the key (${target.key.join(', ')}) of ${quote.plain(target.table)} does not lead on from ${last.join(', ')}, which is not as it is in the database (a text that is no UTF-8); go by another "key"`,
  );
}

/** True where something else than `set` may change a key: a trigger that names the table, or a reference that follows. */
function mayMoveBesides(database: DatabaseSync, target: SqliteTarget): boolean {
  const name = quote.plain(target.table);
  const found = database
    .prepare(
      `SELECT 1 FROM (SELECT type, sql FROM sqlite_schema UNION ALL SELECT type, sql FROM sqlite_temp_schema)
       WHERE type = 'trigger' AND instr(lower(sql), lower(?)) > 0
       UNION ALL
       SELECT 1 FROM pragma_foreign_key_list(?) WHERE on_update NOT IN ('NO ACTION', 'RESTRICT') LIMIT 1`,
    )
    .get(name, name);
  return found !== undefined;
}

function arraysOf(statement: StatementSync, values: readonly SQLInputValue[]): SQLOutputValue[][] {
  statement.setReadBigInts(true);
  statement.setReturnArrays(true);
  // Its type does not know of setReturnArrays.
  return statement.all(...values) as unknown as SQLOutputValue[][];
}
