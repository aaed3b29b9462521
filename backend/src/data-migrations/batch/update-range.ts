import type { Client } from 'pg';
import { quote } from '../identifiers.ts';
import type { Cursor } from './source.ts';
import { parameters, tuple, type Target } from './target.ts';

/**
 * Changes the next rows by one UPDATE over a range of keys, whose end is looked up first: no row leaves the server.
 *
 * @returns how many were changed, and the range's end; no end when there was no row any more
 */
export async function updateRange(
  client: Client,
  target: Target,
  how: {
    readonly set: string;
    readonly where: string | undefined;
    readonly after: Cursor | undefined;
    readonly size: number;
  },
): Promise<{ count: number; last: Cursor | undefined }> {
  const { set, where, after, size } = how;
  const key = tuple(target.key, 't');
  const order = (direction: string) =>
    target.key.map((column) => `t.${quote.name(column)} ${direction}`).join(', ');
  const filter = where === undefined ? '' : ` AND (${where})`;
  const lower = after === undefined ? 'true' : `${key} > ${parameters(target, 1)}`;
  const texts = target.key.map((column, index) => `t.${quote.name(column)}::text AS k${index}`);
  const names = target.key.map((column) => `t.${quote.name(column)}`);
  const { rows } = await client.query<Record<string, string>>(
    `SELECT ${texts.join(', ')} FROM (
       SELECT ${names.join(', ')} FROM ${target.table} AS t WHERE ${lower}${filter} ORDER BY ${order('ASC')} LIMIT ${size}
     ) AS t ORDER BY ${order('DESC')} LIMIT 1`,
    [...(after ?? [])],
  );
  const [end] = rows;
  if (end === undefined) return { count: 0, last: undefined };
  const last = target.key.map((_, index) => end[`k${index}`] ?? '');
  const { rowCount } = await client.query(
    `UPDATE ${target.table} AS t SET ${set}
     WHERE ${lower} AND ${key} <= ${parameters(target, 1 + (after?.length ?? 0))}${filter}`,
    [...(after ?? []), ...last],
  );
  return { count: rowCount ?? 0, last };
}
