import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { CHANNEL_FD, openChannel, type Channel } from './channel.ts';
import { formatLimit, type Limits } from './limits.ts';
import type { Progress } from './protocol.ts';
import { EXIT, Refusal } from './refusal.ts';

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
const GUARD = ['--import', path.join(import.meta.dirname, 'session-guard.mjs')];
/** A small nursery: rows come and go by the thousand, and with Node's own one they fill twice the memory, no faster. */
const FLAGS = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=2'];

/** Where the migrations' package is: what they import, and their tsconfig, are found from there. */
const PACKAGE = path.resolve(import.meta.dirname, '../..');

/** How a process of a migration ended. */
export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last lines that it printed. */
  readonly said: string;
  readonly timedOut: boolean;
  /** Something else than messages came on the engine's channel; the process was ended for it. */
  readonly wroteGarbage: boolean;
}

/** Why that is no success, in words. */
export function describeEnd({ code, signal, said, timedOut, wroteGarbage }: End, limits: Limits): string {
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

/** Starts Node.js with a file that may be of any kind that people write. */
export function start(
  args: readonly string[],
  limits: Limits,
  env: Readonly<Record<string, string>>,
): ChildProcess {
  const memory = limits.memoryMb === undefined ? [] : [`--max-old-space-size=${limits.memoryMb}`];
  return spawn(process.execPath, [...FLAGS, ...memory, ...LOADER, ...GUARD, ...args], {
    cwd: PACKAGE,
    // The key is for those who ask over HTTP; a migration has no use for it.
    env: { ...process.env, DEVELOPER_KEY: undefined, HOLDFAST_RUNNER: String(process.pid), ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
}

/** Follows a process to its end; aborted, it is told to stop, and after the grace it is ended. */
export async function watch(
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
          // It ended in time, and only its pipes are still read.
          if (child.exitCode !== null || child.signalCode !== null) return;
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
