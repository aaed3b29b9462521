import type { Client } from 'pg';
import type { Session } from '../session.ts';
import type { Cursor } from './source.ts';
import { parameters, tuple, type PgTarget } from './target.ts';

/** Where something else than the batch writes to its table: the rows beyond are counted from then on. */
const watched = new WeakSet<PgTarget>();

/** Something else has written to the table: what was done is to be done over, watched. */
class OthersWrote extends Error {}

export function movedOn(target: PgTarget): Error {
  return new Error(
    `batch: the key (${target.key.join(', ')}) of rows of ${target.name} moves on to where the batch has yet to come, by "set", by a trigger or by a foreign key ON UPDATE: take it out, or go by another "key"`,
  );
}

/**
 * Writes rows of a batch, and sees to it that none of the table has moved to where the batch has yet to come: what a
 * statement's own RETURNING does not see, since triggers and references that follow come after it.
 *
 * The server counts what a transaction writes, whoever makes it do so. Where that is more than the batch's own rows, it
 * is done over, with the rows beyond counted before and after, and nobody else writing to the table meanwhile: each of
 * these batches reads the rest of the key.
 *
 * @param last how far the batch reaches
 * @param work in a savepoint; says how many rows it has written
 * @throws Error when there are more rows beyond than before
 */
export async function writeUnmoved(
  session: Session,
  target: PgTarget,
  last: Cursor,
  work: () => Promise<number>,
): Promise<number> {
  const { client } = session;
  if (!watched.has(target))
    try {
      return await session.transaction(async () => {
        const before = await countWritten(client, target);
        const count = await work();
        if ((await countWritten(client, target)) - before !== count) throw new OthersWrote();
        return count;
      });
    } catch (error) {
      if (!(error instanceof OthersWrote)) throw error;
      watched.add(target);
    }
  return await session.transaction(async () => {
    await client.query(
      `LOCK TABLE ${target.table.replace(/ AS "(?:[^"]|"")*"$/, '')} IN SHARE ROW EXCLUSIVE MODE`,
    );
    const before = await countBeyond(client, target, last);
    const count = await work();
    if ((await countBeyond(client, target, last)) > before) throw movedOn(target);
    return count;
  });
}

/** Rows of the table, and of its partitions, that this transaction has written so far. */
async function countWritten(client: Client, { oid }: PgTarget): Promise<number> {
  const { rows } = await client.query<{ n: number }>(
    `SELECT sum(pg_stat_get_xact_tuples_inserted(oid) + pg_stat_get_xact_tuples_updated(oid)
       + pg_stat_get_xact_tuples_deleted(oid))::float8 AS n
     FROM (SELECT $1::oid AS oid UNION SELECT relid::oid FROM pg_partition_tree($1::oid::regclass)) AS parts`,
    [oid],
  );
  return rows[0]?.n ?? 0;
}

async function countBeyond(client: Client, target: PgTarget, last: Cursor): Promise<number> {
  const { rows } = await client.query<{ n: number }>(
    `SELECT count(*)::float8 AS n FROM ${target.table} WHERE ${tuple(target)} > ${parameters(target, 1)}`,
    [...last],
  );
  return rows[0]?.n ?? 0;
}
