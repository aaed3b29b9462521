import { randomBytes } from 'node:crypto';
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { CHANNEL_FD, openChannel, readFromWorker, type Channel } from './channel.ts';
import { formatLimit, type Limits } from './limits.ts';
import type { Inspection } from './inspection.ts';
import type { Description, Done, FromWorker, Job, Progress } from './protocol.ts';
import { EXIT, Refusal } from './refusal.ts';
import { sessionName } from './session.ts';

/** What the engine hears of a migration at work. */
export interface Listener {
  log(message: string): void;
  progress(progress: Progress): void;
}

/** How long a migration may go on after it was told to stop, to end its batch and clean up. */
const GRACE_MS = 5_000;
/** What a process said before its end is read by then, unless others hold its pipes. */
const DRAIN_MS = 1_000;
/** Nobody reads more of one line, and what failed is kept with its last words. */
const LONGEST_LINE = 10_000;

/** tsx understands what people write: decorators, parameter properties, paths of a tsconfig, require(). */
const LOADER = ['--import', import.meta.resolve('tsx')];
/** A small nursery: rows come and go by the thousand, and with Node's own one they fill twice the memory, no faster. */
const FLAGS = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=2'];
const WORKER = path.join(import.meta.dirname, 'worker.ts');
const GUARD = path.join(import.meta.dirname, 'script-guard.mjs');

/** Where the migrations' package is: what they import, and their tsconfig, are found from there. */
const PACKAGE = path.resolve(import.meta.dirname, '../..');

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

/** A file that works by being run, with a client of its own. Its exit code is all that it says of itself. */
async function runScript(
  job: Job,
  inspection: Inspection,
  limits: Limits,
  signal: AbortSignal,
  listener: Listener,
): Promise<Done> {
  const args = [...LOADER, '--import', GUARD, job.file, ...(inspection.takesDirection ? [job.task] : [])];
  const child = start(args, limits, { ...environmentFor(job), HOLDFAST_CHANNEL: String(CHANNEL_FD) });
  const end = await watch(child, () => false, limits, signal, listener);
  signal.throwIfAborted();
  if (end.wroteGarbage) throw new Error(describeEnd(end, limits));
  const writes = /read-only transaction/i.test(end.said);
  if (job.dryRun && writes)
    return {
      status: 'success',
      warnings: ['it has a client of its own and was tried read-only: it got as far as its first write'],
    };
  if (end.code !== 0 || end.signal !== null) throw new Error(describeEnd(end, limits));
  return { status: 'success' };
}

/** By its name the server's side of a client of its own is found, and ended, when it is left behind. */
function environmentFor(job: Pick<Job, 'id' | 'url' | 'dryRun' | 'task'>): Record<string, string> {
  const PGAPPNAME = sessionName(job.id);
  // What is only looked at may not write either: its top level runs.
  if (job.dryRun || job.task === 'describe') return { ...readOnlyEnvironment(job.url), PGAPPNAME };
  return { DATABASE_URL: job.url, PGAPPNAME };
}

/**
 * The server refuses to write through a client of its own, unless it asks for it outright: a BEGIN READ WRITE, or another
 * default_transaction_read_only, is as good as none of this.
 */
function readOnlyEnvironment(url: string): Record<string, string> {
  const readOnly = new URL(url);
  const option = '-c default_transaction_read_only=on';
  const options = readOnly.searchParams.get('options');
  readOnly.searchParams.set('options', options === null ? option : `${options} ${option}`);
  return { DATABASE_URL: readOnly.href, PGOPTIONS: option };
}

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last lines that it printed. */
  readonly said: string;
  readonly timedOut: boolean;
  /** Something else than messages came on the engine's channel; the process was ended for it. */
  readonly wroteGarbage: boolean;
}

function describeEnd({ code, signal, said, timedOut, wroteGarbage }: End, limits: Limits): string {
  if (wroteGarbage)
    return `it wrote into the engine's channel (file descriptor ${CHANNEL_FD}): take that out; log() and console.log() are for what it has to say`;
  if (timedOut) return `it did not end within ${formatLimit(limits.timeoutMs)}`;
  const why = said === '' ? '' : `: ${said}`;
  if (/heap out of memory|heap limit/i.test(said))
    return limits.memoryMb === undefined
      ? 'it needs more memory than Node.js gives it: --memory gives more'
      : `it needs more than ${limits.memoryMb} MB of memory`;
  if (signal !== null) return `it was ended by ${signal}${why}`;
  if (code === 0) return `it ended the process before it was done; take process.exit() out of it${why}`;
  return `it ended with exit ${code}${why}`;
}

async function runWorker(
  jobs: readonly Job[],
  limits: Limits,
  signal: AbortSignal,
  onMessage: (message: FromWorker) => void,
  listener?: Listener,
): Promise<End> {
  const child = start([...LOADER, WORKER], limits, jobs[0] === undefined ? {} : environmentFor(jobs[0]));
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

function start(args: readonly string[], limits: Limits, env: Readonly<Record<string, string>>): ChildProcess {
  const memory = limits.memoryMb === undefined ? [] : [`--max-old-space-size=${limits.memoryMb}`];
  return spawn(process.execPath, [...FLAGS, ...memory, ...args], {
    cwd: PACKAGE,
    // The key is for those who ask over HTTP; a migration has no use for it.
    env: { ...process.env, DEVELOPER_KEY: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
}

/** Follows a process to its end; aborted, it is told to stop, and after the grace it is ended. */
async function watch(
  child: ChildProcess,
  hear: (message: unknown, channel: Channel) => boolean,
  limits: Limits,
  signal: AbortSignal,
  listener: Listener | undefined,
): Promise<End> {
  let wroteGarbage = false;
  const channel: Channel = openChannel(
    child,
    (message) => hear(message, channel),
    () => {
      wroteGarbage = true;
      child.kill('SIGKILL');
    },
  );
  const said: string[] = [];
  const read = (whole: string): void => {
    const line = whole.length > LONGEST_LINE ? `${whole.slice(0, LONGEST_LINE)} ...` : whole;
    said.push(line);
    if (said.length > 100) said.shift();
    listener?.log(line);
  };
  for (const stream of [child.stdout, child.stderr])
    if (stream) createInterface({ input: stream }).on('line', read);

  let timedOut = false;
  let grace: NodeJS.Timeout | undefined;
  let left: NodeJS.Timeout | undefined;
  const stop = (reason: string): void => {
    channel.send({ type: 'abort', reason });
    grace = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  };
  const onAbort = (): void => stop(signal.reason instanceof Error ? signal.reason.message : 'stopped');
  const timer =
    limits.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          stop('its time is over');
        }, limits.timeoutMs);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await new Promise<End>((resolve, reject) => {
      child.once('error', (error) =>
        reject(new Refusal(EXIT.failed, `cannot start a process for the migration: ${error.message}`)),
      );
      // A process that it started, and that lives on, may hold its pipes open: nobody waits for that.
      child.once('exit', () => {
        left = setTimeout(() => {
          child.stdout?.destroy();
          child.stderr?.destroy();
          child.stdio[CHANNEL_FD]?.destroy();
        }, DRAIN_MS);
      });
      child.once('close', (code, by) =>
        resolve({ code, signal: by, said: lastWords(said), timedOut, wroteGarbage }),
      );
    });
  } finally {
    clearTimeout(timer);
    clearTimeout(grace);
    clearTimeout(left);
    signal.removeEventListener('abort', onAbort);
  }
}

/** The line that tells the cause, out of what a dying process prints. */
function lastWords(lines: readonly string[]): string {
  const all = lines.map((line) => line.trim()).filter(Boolean);
  const error = all.findLast((line) => /^(?:\w*Error|error)\b.*:|heap out of memory/i.test(line));
  return error ?? all.at(-1) ?? '';
}
