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
 * hundred on a busy machine). So whoever needs to know what was printed looks for a mark at its end.
 */

const marking = '"$@"; code=$?; printf %s "$0"; exit "$code"';
const mostAttempts = 10;

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
    timeoutMs: 60_000,
    ...more,
  };
  for (let attempt = 1; ; attempt += 1) {
    const result = await client.machine.run(command, { ...options, allowFailure: true });
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
