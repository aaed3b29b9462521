import type { Client } from 'pg';
import { quote } from '../identifiers.ts';
import type { Cursor } from './source.ts';
import { parameters, tuple, type Target } from './target.ts';

/** The key of the last one of the next rows; undefined when there is none any more. */
export async function findEnd(
  client: Client,
  target: Target,
  { where, after, size }: Pick<Range, 'where' | 'after' | 'size'>,
): Promise<Cursor | undefined> {
  const order = (direction: string) =>
    target.key.map((column) => `t.${quote.name(column)} ${direction}`).join(', ');
  const texts = target.key.map((column, index) => `t.${quote.name(column)}::text AS k${index}`);
  const names = target.key.map((column) => `t.${quote.name(column)}`);
  const { rows } = await client.query<Record<string, string>>(
    `SELECT ${texts.join(', ')} FROM (
       SELECT ${names.join(', ')} FROM ${target.table} AS t WHERE ${beyond(target, after)}${also(where)}
       ORDER BY ${order('ASC')} LIMIT ${size}
     ) AS t ORDER BY ${order('DESC')} LIMIT 1`,
    [...(after ?? [])],
  );
  const [end] = rows;
  return end === undefined ? undefined : target.key.map((_, index) => end[`k${index}`] ?? '');
}

const beyond = (target: Target, after: Cursor | undefined): string =>
  after === undefined ? 'true' : `${tuple(target.key, 't')} > ${parameters(target, 1)}`;

const also = (where: string | undefined): string => (where === undefined ? '' : ` AND (${where})`);

/** A row that moves to where the batch has yet to come would be done again. @throws Error */
export function refuseNewKeys(target: Pick<Target, 'key'>, set: string): void {
  const bare = set.replaceAll(/'(?:[^']|'')*'/g, "''");
  for (const column of target.key) {
    const name = column.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
    if (new RegExp(`(?:^|,)\\s*(?:"${name}"|${name})\\s*=`, 'i').test(bare))
      throw new Error(
        `batch: "set" changes ${column}, by which the batch goes: take it out, or go by another "key"`,
      );
  }
}

/** The next rows, and what is done to them. */
export interface Range {
  readonly set: string;
  readonly where: string | undefined;
  readonly after: Cursor | undefined;
  readonly size: number;
}

/**
 * Changes the next rows by one UPDATE over a range of keys, whose end is looked up first: no row leaves the server.
 *
 * @returns how many were changed, and the range's end; no end when there was no row any more
 */
export async function updateRange(
  client: Client,
  target: Target,
  { set, where, after, size }: Range,
): Promise<{ count: number; last: Cursor | undefined }> {
  refuseNewKeys(target, set);
  const last = await findEnd(client, target, { where, after, size });
  if (last === undefined) return { count: 0, last };
  const { rowCount } = await client.query(
    `UPDATE ${target.table} AS t SET ${set}
     WHERE ${beyond(target, after)} AND ${tuple(target.key, 't')} <= ${parameters(target, 1 + (after?.length ?? 0))}${also(where)}`,
    [...(after ?? []), ...last],
  );
  return { count: rowCount ?? 0, last };
}
