import { createHash, randomBytes } from 'node:crypto';
import { messageOf } from '../../lib/errors.ts';
import { formatDuration } from '../../lib/units.ts';
import { CommandError, type Command, type CommandResult, type RunOptions } from '../runtime.ts';
import type { LxdClient } from './client.ts';
import { environmentFile } from './units.ts';

/*
 * Commands inside containers. A client that ends, is killed or loses its daemon does not take along what it started
 * inside: so each command is a transient unit of the container's own systemd, which ends it whole, whoever asks.
 */

/**
 * Reads its environment from the beginning of standard input, where no list of processes shows it, and becomes the unit
 * that runs the rest: $1 unit, $2 user, $3 folder, then the command.
 */
const launcher = String.raw`set -eu
umask 077
unit=$1 user=$2
shift 2
mkdir -p /run/holdfast
IFS= read -r size
head -c "$size" >"/run/holdfast/$unit.env"
code=0
systemd-run --quiet --wait --pipe --collect --unit="$unit" --uid="$user" \
  --property=EnvironmentFile="/run/holdfast/$unit.env" --property=TimeoutStopSec=5 --property=LimitNOFILE=1048576 \
  -- /bin/sh -c 'cd -- "$$1" && shift && exec "$$@"' sh "$@" || code=$?
rm -f "/run/holdfast/$unit.env"
exit "$code"`;

export const basePath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What the names of a run's units have in common. */
export const unitPrefix = (runId: string | undefined) =>
  `hf-run-${createHash('sha256')
    .update(runId ?? '')
    .digest('hex')
    .slice(0, 12)}`;

/**
 * As `Runtime.run`, inside a container, as the user that we are.
 *
 * @throws CommandError, also where the container does not run or the client lost its daemon
 */
export async function runInside(
  client: LxdClient,
  container: string,
  command: Command,
  options: RunOptions = {},
): Promise<CommandResult> {
  options.signal?.throwIfAborted();
  const label = command.label ?? command.file;
  const unit = `${unitPrefix(options.runId)}-${randomBytes(6).toString('hex')}.service`;
  const environment = Buffer.from(
    environmentFile({
      ...(command.env ?? { PATH: basePath, LANG: 'C.UTF-8' }),
      ...command.addEnv,
      ...(options.runId === undefined ? {} : { HOLDFAST_RUN: options.runId }),
    }),
  );
  const head = Buffer.from(`${environment.length}\n`);
  const { args: clientArgs, ...base } = client.exec(container, [
    ...['/bin/sh', '-c', launcher, 'sh', unit, command.user ?? String(process.getuid?.() ?? 0)],
    // systemd would put variables into arguments (systemd.exec(5)); a doubled dollar is one.
    ...[command.cwd ?? '/', command.file, ...command.args].map((one) => one.replaceAll('$', '$$$$')),
  ]);
  let stopped: Error | undefined;
  let ending: Promise<void> | undefined;
  const clientEnd = new AbortController();
  const stop = (reason: unknown) => {
    stopped ??= reason instanceof Error ? reason : new Error(`${label} was stopped`);
    // The client ends by itself when the unit has ended. One that hangs is killed.
    ending ??= endUnits(client, container, unit).finally(() => {
      setTimeout(() => clientEnd.abort(stopped), 2000).unref();
    });
  };
  const timer =
    command.timeoutMs === undefined
      ? undefined
      : setTimeout(
          () => stop(new Error(`${label} took longer than ${formatDuration(command.timeoutMs ?? 0)}`)),
          command.timeoutMs,
        );
  const onAbort = () => stop(options.signal?.reason);
  options.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await client.machine
      .run(
        {
          ...base,
          args: clientArgs,
          label,
          input: Buffer.concat([head, environment, Buffer.from(command.input ?? '')]),
          ...(command.encoding === undefined ? {} : { encoding: command.encoding }),
        },
        { ...options, signal: clientEnd.signal },
      )
      .then((result) => {
        if (stopped !== undefined) throw stopped;
        return result;
      });
  } catch (error) {
    if (stopped === undefined) {
      // Whatever ended the client: nothing of it goes on inside while somebody restores.
      if (error instanceof CommandError) await endUnits(client, container, unit).catch(() => undefined);
      throw error;
    }
    await ending;
    throw stopped;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * Ends units of a container with everything that they started: SIGTERM, and SIGKILL after five seconds.
 *
 * @param pattern a unit's name, or a pattern of names
 * @throws Error if something is left
 */
export async function endUnits(client: LxdClient, container: string, pattern: string): Promise<void> {
  try {
    await client.machine.run(client.exec(container, ['systemctl', 'stop', '--', pattern]));
  } catch (error) {
    // One that has ended was unloaded, and is not known any more.
    if (/not loaded|not found/.test(messageOf(error))) return;
    throw error;
  }
}
