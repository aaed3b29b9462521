import { openPrisma } from '../prisma-client.ts';
import { Session } from '../session.ts';
import { watchClient } from '../watched-client.ts';
import type { BatchParts, BatchSession } from './batch.ts';
import { inDatabase, inMemory } from './cursor.ts';
import { Health } from './health.ts';
import { openModel, openTable } from './source.ts';
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
  const watch = watchClient(await openPrisma(directory, session.asPool()));
  const health = new Health(client, log);
  let giveBack = async (): Promise<void> => {};
  return {
    watch,
    database: {
      transaction: async (work) => await session.transaction(work),
      hold: async (signal) => await health.hold(signal),
      limit: async () => void (await client.query(LIMITS)),
      updateRange: async (target, range) => await updateRange(client, target, range),
      writeChanges: async (target, changes) => await writeChanges(client, target, changes),
    },
    async open(options) {
      if (dry) giveBack = await keepLimits(dry);
      return options.table === undefined
        ? await openModel(session, watch.prisma, options)
        : await openTable(session, options);
    },
    positions: (batch) => (dry ? inMemory() : inDatabase(client, job.id, batch)),
    giveBack: async () => await giveBack(),
    async end() {
      if (!dry) await session.end();
    },
  };
}

/** A dry run has one transaction for everything: what limits a batch must not limit what comes after it. */
async function keepLimits({ client }: Session): Promise<() => Promise<void>> {
  const { rows } = await client.query<{ lock: string; statement: string }>(
    `SELECT current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement`,
  );
  const [{ lock, statement } = { lock: '0', statement: '0' }] = rows;
  return async () => {
    await client.query(
      `SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true)`,
      [lock, statement],
    );
  };
}
