import { currentInteractive } from '../interactive.ts';
import { openPrisma } from '../prisma-client.ts';
import { schemaOf } from '../session-settings.ts';
import { Session } from '../session.ts';
import { watchClient } from '../watched-client.ts';
import type { BatchParts, BatchSession } from './batch.ts';
import { inDatabase, inMemory } from './cursor.ts';
import { Health } from './health.ts';
import { writeUnmoved } from './moves.ts';
import { openModel } from './model-source.ts';
import { settleBatch } from './settings.ts';
import { openTable } from './source.ts';
import type { PgTarget } from './target.ts';
import { updateRange } from './update-range.ts';
import { writeChanges } from './write-changes.ts';

// A batch that waits for a lock keeps others waiting behind it.
const LIMITS = `SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '60s'`;

/**
 * Opens the session of a migration's batches on PostgreSQL.
 *
 * @param dry the session of a dry run, which takes everything back
 */
export async function postgresBatches(
  { job, log }: BatchParts,
  directory: string,
  dry: Session | undefined,
): Promise<BatchSession> {
  const session = dry ?? (await Session.open(job.url));
  const { client } = session;
  const watch = watchClient(await openPrisma(directory, session.asPool(true), schemaOf(job.url)));
  const health = new Health(client, log);
  let target: PgTarget | undefined;
  const opened = (): PgTarget => {
    if (target === undefined) throw new Error('batch: no table was opened');
    return target;
  };
  let giveBack = async (): Promise<void> => {};
  return {
    watch,
    database: {
      transaction: async (work) => await session.transaction(work),
      hold: async (signal) => await health.hold(signal),
      limit: async () => void (await client.query(LIMITS)),
      updateRange: async (range) => await updateRange(session, opened(), range),
      async writeChanges(changes, last) {
        const into = opened();
        await writeUnmoved(session, into, last, async () => await writeChanges(client, into, changes));
      },
    },
    async open(options) {
      if (currentInteractive() !== undefined)
        throw new Error(
          'batch: it begins inside of $transaction, which it is no part of, and whose rows it would wait for; put it before or after',
        );
      giveBack = await settleBatch(session);
      const source = await (options.table === undefined
        ? openModel(session, watch.prisma, options, schemaOf(job.url))
        : openTable(session, options));
      target = source.target;
      return source;
    },
    positions: (named) => (dry ? inMemory(client, named, job.afresh === true) : inDatabase(client, named)),
    giveBack: async () => await giveBack(),
    async end() {
      if (!dry) await session.end();
    },
  };
}
