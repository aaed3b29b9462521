import { readFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { addColumnWithDefault } from './add-column.ts';
import { createBatch } from './batch/batch.ts';
import type { BatchOptions } from './batch/options.ts';
import { CHANNEL_FD } from './channel.ts';
import { isSqlite } from './database-url.ts';
import { describeExport, findMigration } from './exported.ts';
import { ownSessions } from './failed-queries.ts';
import { untilIdle } from './idle.ts';
import { trackInteractive } from './interactive.ts';
import type { MigrationContext } from './migration.ts';
import { readOutcome, textOf, toPlain } from './outcome.ts';
import { findLine } from './location.ts';
import { createProgress } from './progress.ts';
import type { Done, FromWorker, Job, ToWorker } from './protocol.ts';
import { describeError } from './refusal.ts';
import { inScope, refuseUnfinished, watchClient } from './watched-client.ts';
import type { Tools, Workplace } from './workplace.ts';

/*
 * One migration in a process of its own: a leak, a crash or process.exit() in it cannot hurt the engine. It takes one
 * job from its parent, answers, and ends; and it ends at once when its parent is gone.
 */

const abort = new AbortController();
const DIRECTORY = process.cwd();

const channel = new Socket({ fd: CHANNEL_FD });
function tell(message: FromWorker): void {
  channel.write(`${JSON.stringify(message)}\n`);
}

/** Ends the process once the last message is on its way. */
async function leave(message: FromWorker | undefined, exitCode: number): Promise<never> {
  if (message !== undefined)
    await new Promise((resolve) => {
      channel.write(`${JSON.stringify(message)}\n`, resolve);
    });
  process.exit(exitCode);
}

/** @param secret by which the engine knows our outcome from one that a migration writes; it must not get out of here */
async function execute(jobs: readonly Job[], secret: string): Promise<void> {
  for (const one of jobs) {
    if (one.task !== 'describe') continue;
    current = one;
    tell({ type: 'described', secret, description: await describeExport(one) });
  }
  const job = jobs.find(({ task }) => task !== 'describe');
  if (job === undefined) return await leave(undefined, 0);
  current = job;
  const done = job.kind === 'sql' ? await runSqlJob(job) : await runCode(job);
  return await leave({ type: 'done', secret, done }, 0);
}

/** How a migration gets at its database, which is PostgreSQL or SQLite. */
async function workplaceOf({ url }: Job): Promise<Workplace> {
  if (isSqlite(url)) return (await import('./sqlite/workplace.ts')).sqliteWorkplace;
  return (await import('./postgres-workplace.ts')).postgresWorkplace;
}

async function runSqlJob(job: Job): Promise<Done> {
  if (job.task === 'down') throw new Error('it is a file of SQL, which has no down');
  const { runSql } = await workplaceOf(job);
  return await runSql(job, await readFile(job.file, 'utf8'));
}

async function runCode(job: Job): Promise<Done> {
  const exported: unknown = await import(pathToFileURL(job.file).href);
  const { runCode: run } = await workplaceOf(job);
  return await run(job, DIRECTORY, fail, async (tools) => await runMigration(job, exported, tools));
}

async function runMigration(job: Job, exported: unknown, tools: Tools): Promise<Done> {
  const sessions = ownSessions();
  const columns = new Set<string>();
  // What addColumnWithDefault tries again is its own affair.
  const failures = () => (columns.size > 0 ? undefined : sessions?.failures);
  const watch = watchClient(trackInteractive(tools.client), failures);
  const { prisma } = watch;
  // Whatever it is in a migration that nobody checked the types of: what is no text would count as forged.
  const log = (message: unknown): void =>
    tell({
      type: 'log',
      message: typeof message === 'string' ? message : (textOf(message) ?? String(message)),
    });
  const progress = createProgress((one) => {
    if (Number.isFinite(one.done) && Number.isFinite(one.rate)) tell({ type: 'progress', progress: one });
  });
  const parts = { job, signal: abort.signal, log, progress };
  const batch = createBatch(parts, async () => await tools.openBatches(parts));
  const context: MigrationContext = {
    prisma,
    dryRun: job.dryRun,
    signal: abort.signal,
    log,
    progress,
    // What its rows are only the migration itself knows.
    batch: async (options) => await batch.run(options as unknown as BatchOptions),
    addColumnWithDefault: async (options) => {
      const name = `addColumnWithDefault ${options.table}.${options.column}`;
      columns.add(name);
      try {
        return await addColumnWithDefault(context, tools.columnSteps(context), options);
      } finally {
        columns.delete(name);
      }
    },
  };
  try {
    const migration = await findMigration(exported, job.id, prisma, context);
    if (job.task === 'up' && !(await migration.shouldRun())) return { status: 'not-needed' };
    // By a query that fails shouldRun() may look whether something is there.
    sessions?.expect(await readFile(job.file, 'utf8'));
    const outcome = await inScope(
      async () => await (job.task === 'down' ? migration.down() : migration.up()),
    );
    abort.signal.throwIfAborted();
    // What it did not await is told at once; what has yet to come to its query, once it comes to it.
    refuseUnfinished([...watch.unfinished(), ...batch.unfinished(), ...columns]);
    const left = await untilIdle(channel);
    if (left !== undefined)
      log(
        `it ended, and something of it was open or at work (${left}): what that does later counts for nothing. Close what it opened, and await what it began`,
      );
    refuseUnfinished([...watch.unfinished(), ...batch.unfinished(), ...columns]);
    const rows = readOutcome(outcome) ?? batch.rowsDone();
    const failed = sessions?.failures.describe();
    if (failed !== undefined) throw new Error(failed);
    const verify = async (): Promise<string | undefined> =>
      await inScope(async () => await migration.verify());
    const report = job.task === 'up' ? await verify().catch(sayStale(batch.stale())) : undefined;
    if (report !== undefined) tell({ type: 'log', message: `verified: ${report}` });
    refuseUnfinished(watch.unfinished());
    return { status: 'success', ...(rows === undefined ? {} : { rows }), result: toPlain(outcome) };
  } finally {
    await batch.end();
    if (!job.dryRun) await prisma.$disconnect().catch(() => {});
  }
}

/** A verify() that fails of rows that no run will ever do again must not stay so. */
function sayStale(stale: string | undefined): (error: unknown) => never {
  return (error) => {
    if (stale === undefined) throw error;
    throw new Error(`${describeError(error)}; ${stale}`, { cause: error });
  };
}

channel.on('error', () => {});
channel.on('close', () => process.exit(1));
// Both are for the engine: a Ctrl-C reaches the whole group.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});

let current: Job | undefined;
const fail = (error: unknown): void => {
  const line = current && findLine(error, current.file);
  const where = line === undefined ? '' : ` (${path.basename(current?.file ?? '')}:${line})`;
  void leave({ type: 'failed', error: `${describeError(error)}${where}` }, 1);
};
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
createInterface({ input: channel }).on('line', (line) => {
  const message = JSON.parse(line) as ToWorker;
  if (message.type === 'abort') abort.abort(new Error(message.reason));
  else execute(message.jobs, message.secret).catch(fail);
});
tell({ type: 'ready' });
