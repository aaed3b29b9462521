import { randomBytes } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { readFromWorker, type Channel } from './channel.ts';
import { environmentFor, scriptEnvironment } from './child-environment.ts';
import { describeEnd, start, watch, type End, type Listener } from './child-process.ts';
import type { Inspection } from './inspection.ts';
import type { Limits } from './limits.ts';
import { isSqlite } from './database-url.ts';
import { watchOwnLocks } from './own-locks.ts';
import type { Description, Done, FromWorker, Job } from './protocol.ts';
import { dryRunName, sessionName } from './session-name.ts';

const WORKER = path.join(import.meta.dirname, 'worker.ts');
const GUARD = path.join(import.meta.dirname, 'script-guard.mjs');

/**
 * Imports files in a process of their own and says what each exports; nothing of them is run. One that ends the process
 * is a problem of its own, and the others are looked at in another.
 */
export async function describeFiles(
  jobs: readonly Pick<Job, 'id' | 'file' | 'kind' | 'url'>[],
  limits: Limits,
): Promise<Description[]> {
  const descriptions: Description[] = [];
  while (descriptions.length < jobs.length) {
    const left = jobs
      .slice(descriptions.length)
      .map((job) => ({ ...job, task: 'describe', dryRun: false }) as const);
    let failed: string | undefined;
    const end = await runWorker(
      left,
      { ...limits, timeoutMs: 60_000 },
      new AbortController().signal,
      (message) => {
        if (message.type === 'described') descriptions.push(message.description);
        if (message.type === 'failed') failed = message.error;
      },
    );
    if (descriptions.length < jobs.length)
      descriptions.push({
        id: undefined,
        hasDown: false,
        problem: `it does not load: ${failed ?? describeEnd(end, limits)}`,
      });
  }
  return descriptions;
}

/**
 * Runs a migration in a process of its own.
 *
 * @throws Error with what it failed of; the signal's reason once that is aborted and the process is gone.
 */
export async function runMigrationFile(
  job: Job,
  {
    inspection,
    limits,
    signal,
    listener,
  }: {
    readonly inspection: Inspection;
    readonly limits: Limits;
    readonly signal: AbortSignal;
    readonly listener: Listener;
  },
): Promise<Done> {
  if (inspection.format === 'script') return await runScript(job, inspection, limits, signal, listener);
  let done: Done | undefined;
  let error: string | undefined;
  const end = await runWorker(
    [job],
    limits,
    signal,
    (message) => {
      if (message.type === 'log') listener.log(message.message);
      if (message.type === 'progress') listener.progress(message.progress);
      if (message.type === 'done') done = message.done;
      if (message.type === 'failed') error = message.error;
    },
    listener,
  );
  signal.throwIfAborted();
  if (end.wroteGarbage) throw new Error(describeEnd(end, limits));
  if (error !== undefined) throw new Error(error);
  if (done === undefined) throw new Error(describeEnd(end, limits));
  return done;
}

/**
 * A file that works by being run, with a client of its own. Its exit code is what it says of itself; the guard says
 * when that is not true.
 */
async function runScript(
  job: Job,
  inspection: Inspection,
  limits: Limits,
  signal: AbortSignal,
  listener: Listener,
): Promise<Done> {
  // By its real path it is what import.meta.url says, in a comparison of the two.
  const file = await realpath(job.file);
  const { direction } = inspection;
  const word = job.task === 'down' ? direction?.down : direction?.up;
  const args = ['--import', GUARD, file, ...(word === undefined ? [] : [word])];
  const child = start(args, limits, scriptEnvironment(job, inspection.isGuarded));
  let problem: string | undefined;
  const name = job.dryRun ? dryRunName(job.id) : sessionName(job.id);
  const locks = isSqlite(job.url)
    ? undefined
    : watchOwnLocks(job.url, name, () => child.kill('SIGKILL'), 'script');
  const watched = watch(
    child,
    (message) => {
      const error = readProblem(message);
      problem ??= error;
      return error !== undefined;
    },
    limits,
    signal,
    listener,
  );
  let end: End;
  try {
    end = await watched;
  } finally {
    await locks?.end();
  }
  signal.throwIfAborted();
  const stuck = locks?.stuck();
  if (stuck) throw stuck;
  if (end.wroteGarbage || end.timedOut) throw new Error(describeEnd(end, limits));
  const writes = /read-only transaction/i.test(`${end.said} ${problem}`);
  if (job.dryRun && writes)
    return {
      status: 'success',
      warnings: ['it has a client of its own and was tried read-only: it got as far as its first write'],
    };
  if (problem !== undefined) throw new Error(problem);
  if (end.code !== 0 || end.signal !== null) throw new Error(describeEnd(end, limits));
  return { status: 'success' };
}

/** A script can say of itself that it failed, and nothing else. */
function readProblem(message: unknown): string | undefined {
  const { type, error } = (message ?? {}) as Readonly<Record<string, unknown>>;
  return type === 'failed' && typeof error === 'string' ? error : undefined;
}

async function runWorker(
  jobs: readonly Job[],
  limits: Limits,
  signal: AbortSignal,
  onMessage: (message: FromWorker) => void,
  listener?: Listener,
): Promise<End> {
  const child = start([WORKER], limits, jobs[0] === undefined ? {} : environmentFor(jobs[0]));
  const secret = randomBytes(32).toString('hex');
  let isReady = false;
  const hear = (heard: unknown, channel: Channel): boolean => {
    const message = readFromWorker(heard, secret);
    if (message?.type !== 'ready') {
      if (message !== undefined) onMessage(message);
      return message !== undefined;
    }
    // The second one is not from the worker: it is asked for the secret.
    if (isReady) return false;
    isReady = true;
    channel.send({ type: 'jobs', jobs, secret });
    return true;
  };
  return await watch(child, hear, limits, signal, listener);
}
