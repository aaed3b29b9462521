import { randomBytes } from 'node:crypto';
import {
  commandFailed,
  CommandError,
  type Command,
  type CommandResult,
  type RunOptions,
} from '../runtime.ts';
import type { LxdClient } from './client.ts';

/*
 * LXD loses what a command inside printed, now and then, and the client ends with 0 all the same (5.0.2: once in two
 * hundred on a busy machine). So whoever needs to know what was printed looks for a mark at its end. More rarely the client
 * waits for a command that has ended: what answers at once elsewhere is asked again.
 */

const marking = '"$@"; code=$?; printf %s "$0"; exit "$code"';
const mostAttempts = 10;
/** How long it may take, unless something else is said, and how often it may take longer. */
const patienceMs = 30_000;
const mostHangs = 2;

/**
 * As `Runtime.run` for something that may be asked again: what it printed is whole.
 *
 * @throws CommandError, also where it was lost again and again
 */
export async function askContainer(
  client: LxdClient,
  container: string,
  argv: readonly string[],
  more: Partial<Command> = {},
  options: RunOptions = {},
): Promise<CommandResult> {
  const mark = `end-${randomBytes(6).toString('hex')}`;
  const command = {
    ...client.exec(container, ['/bin/sh', '-c', marking, mark, ...argv]),
    timeoutMs: patienceMs,
    ...more,
  };
  let hangs = 0;
  for (let attempt = 1; ; attempt += 1) {
    const result = await client.machine
      .run(command, { ...options, allowFailure: true })
      .catch((error: unknown) => {
        hangs += 1;
        const isHang = error instanceof Error && error.message.includes('took longer than');
        if (!isHang || more.timeoutMs !== undefined || hangs > mostHangs) throw error;
        return undefined;
      });
    if (result === undefined) continue;
    const stdout = withoutMark(result.stdout, mark);
    // A client that failed has nothing to bring.
    if (stdout === undefined && result.exitCode === 0 && attempt < mostAttempts) continue;
    if (stdout === undefined && result.exitCode === 0)
      throw new CommandError(`LXD lost what ${command.label ?? command.file} printed`, result);
    const found = { ...result, stdout: stdout ?? result.stdout };
    if (found.exitCode !== 0 && options.allowFailure !== true)
      throw commandFailed(command.label ?? command.file, found);
    return found;
  }
}

/** Undefined where the mark is not there, and something is missing. */
export function withoutMark(stdout: string, mark: string): string | undefined {
  return stdout.endsWith(mark) ? stdout.slice(0, -mark.length) : undefined;
}
