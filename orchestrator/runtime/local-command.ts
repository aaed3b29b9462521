import { closeSync, openSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { execa } from 'execa';
import { endProcesses } from '../lib/end-processes.ts';
import { findByGroup } from '../lib/processes.ts';
import { formatDuration } from '../lib/units.ts';
import { forEachLine } from './lines.ts';
import { asUser } from './local-user.ts';
import { commandFailed, CommandError, type Command, type CommandResult, type RunOptions } from './runtime.ts';

/** How long a command may take to obey SIGTERM before it is killed. */
const graceMs = 5000;
/** How long the last lines of a command that has ended may take to arrive. */
const drainMs = 2000;

type Pipes = Record<'stdout' | 'stderr', Readable>;

/** @see Runtime.run */
export async function runLocally(command: Command, options: RunOptions = {}): Promise<CommandResult> {
  options.signal?.throwIfAborted();
  const label = command.label ?? command.file;
  const { file, args } = asUser(command.user, command.file, command.args);
  const folder = command.openDirectory === undefined ? undefined : openSync(command.openDirectory, 'r');
  const stdin = command.input === undefined ? 'ignore' : 'pipe';
  const child = execa(file, args, {
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    env: {
      ...(command.env ?? process.env),
      ...command.addEnv,
      ...(options.runId === undefined ? {} : { HOLDFAST_RUN: options.runId }),
    },
    extendEnv: false,
    detached: true,
    cleanup: false,
    reject: false,
    stripFinalNewline: false,
    encoding: command.encoding ?? 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    buffer: options.onLine === undefined,
    ...(command.input === undefined ? {} : { input: command.input }),
    // execa's types name descriptors up to 9; it takes any that is open.
    stdio: folder === undefined ? [stdin, 'pipe', 'pipe'] : [stdin, 'pipe', 'pipe', { value: folder as 3 }],
  });
  if (folder !== undefined) closeSync(folder);
  const lines = options.onLine;
  // What is told as it comes may be without end.
  const tails = lines && {
    stdout: forEachLine(child.stdout, lines),
    stderr: forEachLine(child.stderr, lines),
  };

  let stopped: Error | undefined;
  const stop = (reason: unknown) => {
    stopped ??= reason instanceof Error ? reason : new Error(`${label} was stopped`);
    if (child.pid !== undefined) void endWithPipes(child.pid, child);
  };
  const timer =
    command.timeoutMs === undefined
      ? undefined
      : setTimeout(
          () => stop(new Error(`${label} took longer than ${formatDuration(command.timeoutMs ?? 0)}`)),
          command.timeoutMs,
        );
  // A program that leaves a daemon behind (some builds do) has ended all the same, though the daemon holds our pipes.
  child.nodeChildProcess.once('exit', () => {
    setTimeout(() => closePipes(child), drainMs).unref();
  });
  const onAbort = () => stop(options.signal?.reason);
  options.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const result = await child;
    const stdout = (await tails?.stdout) ?? result.stdout ?? '';
    const stderr = (await tails?.stderr) ?? result.stderr ?? '';
    if (stopped !== undefined) {
      // The leader is gone; what it started must be too, before anybody restores under its feet.
      if (child.pid !== undefined) await endGroup(child.pid);
      throw stopped;
    }
    if (result.exitCode === undefined) {
      const why = result.signal
        ? `was ended by ${result.signal}`
        : (result.originalMessage ?? 'did not start');
      throw new CommandError(`${label} ${why}`, { stdout, stderr });
    }
    const found = { exitCode: result.exitCode, stdout, stderr };
    if (found.exitCode !== 0 && options.allowFailure !== true) throw commandFailed(label, found);
    return found;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

/** Ends a group. What left it may live on with our pipes in its hands: we do not wait for it to close them. */
async function endWithPipes(group: number, child: Pipes): Promise<void> {
  await endGroup(group);
  closePipes(child);
}

function closePipes({ stdout, stderr }: Pipes): void {
  stdout.destroy();
  stderr.destroy();
}

/** SIGTERM to the whole group, SIGKILL to what is left of it. Returns when it is empty. */
async function endGroup(group: number): Promise<void> {
  await endProcesses(() => findByGroup(group), { signal: 'SIGTERM', graceMs });
}
