import type { Client } from 'pg';
import { describeError } from '../refusal.ts';
import type { Session } from '../session.ts';
import { movedOn, writeUnmoved } from './moves.ts';
import { isPassing } from './pace.ts';
import type { Cursor } from './source.ts';
import { columnOf, parameters, tuple, withAlias, type PgTarget } from './target.ts';

/**
 * The key of the last one of the next rows, and how many they are; undefined when there is none any more.
 *
 * @throws Error when the key, as text, does not lead beyond where it was: the batch would never come to its end
 */
export async function findEnd(
  client: Client,
  target: PgTarget,
  { where, after, size }: Pick<Range, 'where' | 'after' | 'size'>,
): Promise<{ readonly end: Cursor; readonly count: number } | undefined> {
  const order = (direction: string) =>
    target.key.map((column) => `${columnOf(target, column)} ${direction}`).join(', ');
  const texts = target.key.map((column, index) => `${columnOf(target, column)}::text AS k${index}`);
  const names = target.key.map((column) => columnOf(target, column));
  const { rows } = await client.query<Record<string, string> & { count: number }>(
    `SELECT ${texts.join(', ')}, count(*) OVER ()::int AS count FROM (
       SELECT ${names.join(', ')} FROM ${target.table} WHERE ${beyond(target, after)}${also(where)}
       ORDER BY ${order('ASC')} LIMIT ${size}
     ) AS ${target.alias} ORDER BY ${order('DESC')} LIMIT 1`,
    [...(after ?? [])],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  const end = target.key.map((_, index) => row[`k${index}`] ?? '');
  if (after !== undefined && end.join('\0') === after.join('\0'))
    throw new Error(
      `batch: the key (${target.key.join(', ')}) of ${target.name} does not lead on from ${end.join(', ')}; go by another "key"`,
    );
  return { end, count: row.count };
}

export const beyond = (target: PgTarget, after: Cursor | undefined): string =>
  after === undefined ? 'true' : `${tuple(target)} > ${parameters(target, 1)}`;

/** On a line of its own: it may end in a comment. */
export const also = (where: string | undefined): string => (where === undefined ? '' : ` AND (${where}\n)`);

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
 * @throws Error when a row has moved to where the batch has yet to come, or a trigger has left some out
 */
export async function updateRange(
  session: Session,
  target: PgTarget,
  { set, where, after, size }: Range,
): Promise<{ count: number; last: Cursor | undefined }> {
  const { client } = session;
  const next = await findEnd(client, target, { where, after, size });
  if (next === undefined) return { count: 0, last: undefined };
  const { end: last } = next;
  const end = parameters(target, 1 + (after?.length ?? 0));
  const range = `${beyond(target, after)} AND ${tuple(target)} <= ${end}${also(where)}`;
  const values = [...(after ?? []), ...last];
  const count = await writeUnmoved(session, target, last, async () => {
    const { rows } = await client.query<{ count: number; moved: number }>(
      `WITH changed AS (
         UPDATE ${target.table} SET ${set}
         WHERE ${range}
         RETURNING ${tuple(target)} > ${end} AS moved
       ) SELECT count(*)::int AS count, count(*) FILTER (WHERE moved)::int AS moved FROM changed`,
      values,
    );
    const changed = rows[0] ?? { count: 0, moved: 0 };
    if (changed.moved > 0) throw movedOn(target);
    return changed.count;
  });
  if (count < next.count) await verifyNoneLeft(client, target, range, values);
  return { count, last };
}

/**
 * Fewer were changed than there were: others have deleted them meanwhile, or a trigger has left them out.
 *
 * @throws Error when some are still there, and this transaction has not written them
 */
async function verifyNoneLeft(
  client: Client,
  target: PgTarget,
  range: string,
  values: readonly string[],
): Promise<void> {
  const { rows } = await client.query<{ left: number }>(
    `SELECT count(*)::int AS left FROM ${target.table}
     WHERE age(${target.alias}.xmin) > age(pg_current_xact_id()::xid) AND ${range}`,
    [...values],
  );
  const left = rows[0]?.left ?? 0;
  if (left === 0) return;
  throw new Error(`batch: ${left} rows of ${target.name} were not changed: a trigger left them out`);
}

interface Written {
  readonly set: string | undefined;
  readonly where: string | undefined;
}

/**
 * Has PostgreSQL read what the migration wrote, before anything runs, so that a mistake is told of the option it is in.
 *
 * @returns the table, by the name that they call it: its own, or `t`
 * @throws Error that names the option
 */
export async function verifySql(session: Session, target: PgTarget, written: Written): Promise<PgTarget> {
  const failure = await findMistake(session, target, written);
  if (failure === undefined) return target;
  const short = withAlias(target, 't');
  if ((await findMistake(session, short, written)) === undefined) return short;
  throw failure;
}

async function findMistake(
  session: Session,
  target: PgTarget,
  { set, where }: Written,
): Promise<Error | undefined> {
  const read = async (option: string, sql: string, advice: string): Promise<Error | undefined> => {
    try {
      await session.transaction(async () => {
        await session.client.query(`SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = '3s'`);
        // A parameter makes it one statement, whatever is in it.
        await session.client.query(sql, [false]);
      });
      return undefined;
    } catch (error) {
      if (isPassing(error)) return undefined;
      const message = `batch: "${option}" of ${target.name} cannot be used: ${describeError(error)}${advice}`;
      return new Error(message, { cause: error });
    }
  };
  const wrong =
    where === undefined
      ? undefined
      : await read('where', `EXPLAIN SELECT FROM ${target.table} WHERE $1::boolean${also(where)}`, '');
  if (wrong !== undefined || set === undefined) return wrong;
  return await read(
    'set',
    `EXPLAIN UPDATE ${target.table} SET ${set}\n WHERE $1::boolean`,
    '; it is what stands between SET and WHERE',
  );
}
