import { Pool, type ClientBase } from 'pg';
import { postgresColumns } from './add-column.ts';
import { postgresBatches } from './batch/postgres.ts';
import { tryOut } from './dry-run.ts';
import { watchOwnLocks } from './own-locks.ts';
import { openPrisma } from './prisma-client.ts';
import type { Done } from './protocol.ts';
import { asEngine, dryRunName, sessionName } from './session-name.ts';
import { schemaOf, settleSession } from './session-settings.ts';
import { Session } from './session.ts';
import { runSql } from './sql-file.ts';
import { findTransactionWord } from './transaction-words.ts';
import { describeWayOut, findWayOut } from './way-out.ts';
import type { Workplace } from './workplace.ts';

/** Runs migrations on PostgreSQL. */
export const postgresWorkplace: Workplace = {
  async runSql(job, text) {
    if (job.dryRun) {
      const word = findTransactionWord(text);
      if (word !== undefined)
        throw new Error(`it says "${word}": take that out, the whole file is one transaction`);
      const way = findWayOut(text);
      if (way !== undefined) throw describeWayOut(way);
      const tried = await tryOut(job.url, async (session) => {
        await runSql(session, text);
      });
      return { status: 'success', ...tried };
    }
    const session = await Session.open(job.url);
    try {
      return { status: 'success', rows: await runSql(session, text) };
    } finally {
      await session.end();
    }
  },

  async runCode(job, directory, fail, run) {
    if (!job.dryRun) {
      const settle: (client: ClientBase) => unknown = async (client) => await settleSession(client, job.url);
      const pool = new Pool({
        connectionString: asEngine(job.url),
        max: 10,
        // One that does nothing is no work left over.
        allowExitOnIdle: true,
        connectionTimeoutMillis: 10_000,
        // pg waits for it, which its types do not say.
        onConnect: settle,
      });
      // A session that was ended from outside is told by the query that used it.
      pool.on('error', () => {});
      const locks = watchOwnLocks(job.url, sessionName(job.id), fail);
      try {
        const ended = await run({
          client: await openPrisma(directory, pool, schemaOf(job.url)),
          openBatches: async (parts) => await postgresBatches(parts, directory, undefined),
          columnSteps: postgresColumns,
        });
        const stuck = locks.stuck();
        if (stuck) throw stuck;
        return ended;
      } catch (error) {
        throw locks.stuck() ?? error;
      } finally {
        await locks.end();
      }
    }
    let done: Done = { status: 'success' };
    const locks = watchOwnLocks(job.url, dryRunName(job.id), fail, 'dryRun');
    const trial = tryOut(job.url, async (session) => {
      done = await run({
        client: await openPrisma(directory, session.asPool(), schemaOf(job.url)),
        openBatches: async (parts) => await postgresBatches(parts, directory, session),
        columnSteps: postgresColumns,
      });
    });
    try {
      const tried = await trial;
      return { ...done, ...tried };
    } finally {
      await locks.end();
    }
  },
};
