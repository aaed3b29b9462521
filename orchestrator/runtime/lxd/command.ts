import { createHash, randomBytes } from 'node:crypto';
import { formatDuration } from '../../lib/units.ts';
import {
  commandFailed,
  CommandError,
  type Command,
  type CommandResult,
  type RunOptions,
} from '../runtime.ts';
import type { LxdClient } from './client.ts';
import { environmentFile } from './units.ts';
import { endingWith } from './hung-client.ts';
import { askContainer, withoutMark } from './whole-output.ts';

/*
 * Commands inside containers. A client that ends, is killed or loses its daemon does not take along what it started
 * inside: so each command is a transient unit of the container's own systemd, which ends it whole, whoever asks.
 */

/** The launcher's own exit code where a signal ended the command: which one is in a file. */
const endedBySignal = 255;

/** What a unit needs while it runs, and what is known of its end: in a folder that a reboot empties. */
const folder = '/run/holdfast';

/**
 * Reads its environment from the beginning of standard input, where no list of processes shows it, and becomes the unit
 * that runs the rest: $1 unit, $2 user, $3 whether what it prints is kept (see whole-output.ts), $4 folder, then the command.
 * To systemd a command that SIGTERM or SIGPIPE ended has succeeded (systemd.service(5), SuccessExitStatus): what ended it is
 * written down.
 */
const launcher = String.raw`set -eu
umask 077
unit=$1 user=$2 keeping=$3
shift 3
mkdir -p ${folder}
find ${folder} '(' -name '*.out' -o -name '*.code' ')' -mmin +1440 -delete
file=${folder}/$unit
IFS= read -r size
head -c "$size" >"$file.env"
[ "$(wc -c <"$file.env")" -eq "$size" ]
run() {
systemd-run --quiet --wait --pipe --collect --unit="$unit" --uid="$user" \
  --property=EnvironmentFile="$file.env" --property=TimeoutStopSec=5 --property=LimitNOFILE=1048576 --property=IgnoreSIGPIPE=no \
  --property=ExecStopPost="+/bin/sh -c 'test \$\$EXIT_CODE = exited || echo \$\$EXIT_STATUS >$file.end'" \
  -- /bin/sh -c 'cd -- "$$1" && shift && exec "$$@"' sh "$@"
}
code=0
if [ "$keeping" = kept ]; then
  run "$@" >"$file.out" || code=$?
  cat "$file.out"
  printf %s "$unit"
  [ "$(wc -c <"$file.out")" -le 1048576 ] || rm -f "$file.out"
else
  run "$@" || code=$?
fi
rm -f "$file.env"
[ ! -s "$file.end" ] || code=${endedBySignal}
echo "$code" >"$file.code"
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
  // What is told as it comes is for people to read, and its exit code is what counts.
  const keeping = options.onLine === undefined ? 'kept' : 'told';
  const head = Buffer.from(`${environment.length}\n`);
  const { args: clientArgs, ...base } = client.exec(container, [
    ...['/bin/sh', '-c', launcher, 'sh', unit, command.user ?? String(process.getuid?.() ?? 0), keeping],
    // systemd would put variables into arguments (systemd.exec(5)); a doubled dollar is one.
    ...[command.cwd ?? '/', command.file, ...command.args].map((one) => one.replaceAll('$', '$$$$')),
  ]);
  let stopped: Error | undefined;
  /** Why it could not be ended, if so. */
  let ending: Promise<Error | void> | undefined;
  const clientEnd = new AbortController();
  const stop = (reason: unknown) => {
    stopped ??= reason instanceof Error ? reason : new Error(`${label} was stopped`);
    // The client ends by itself when the unit has ended. One that hangs is killed.
    ending ??= endUnits(client, container, unit)
      .catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))))
      .finally(() => {
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
    const running = client.machine.run(
      {
        ...base,
        args: clientArgs,
        label,
        input: Buffer.concat([head, environment, Buffer.from(command.input ?? '')]),
        ...(command.encoding === undefined ? {} : { encoding: command.encoding }),
      },
      { ...options, allowFailure: true, signal: clientEnd.signal },
    );
    const result = await endingWith(running, { client, container, unit, end: clientEnd });
    if (stopped !== undefined) throw stopped;
    const found =
      keeping === 'told' ? result : await wholeResult(client, container, unit, { label, command, result });
    if (found.exitCode === endedBySignal) await verifyOwnEnd(client, container, unit, { label, ...found });
    if (found.exitCode !== 0 && options.allowFailure !== true) throw commandFailed(label, found);
    return found;
  } catch (error) {
    if (stopped !== undefined) {
      throw (await ending) ?? stopped;
    }
    if (error instanceof CommandError) {
      // Whatever ended the client: nothing of it goes on inside while somebody restores.
      await endUnits(client, container, unit).catch(() => undefined);
    }
    throw error;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

/** What a command printed, to the end: where the client brought less, from the file that it is kept in. */
async function wholeResult(
  client: LxdClient,
  container: string,
  unit: string,
  { label, command, result }: { label: string; command: Command; result: CommandResult },
): Promise<CommandResult> {
  const brought = withoutMark(result.stdout, unit);
  if (brought !== undefined) return { ...result, stdout: brought };
  const { encoding } = command;
  const kept = await askContainer(
    client,
    container,
    ['cat', `${folder}/${unit}.out`],
    encoding === undefined ? {} : { encoding },
    { allowFailure: true },
  );
  if (kept.exitCode === 0) return { ...result, stdout: kept.stdout };
  if (result.exitCode === 0) throw new CommandError(`LXD lost what ${label} printed`, result);
  return result;
}

/** @throws CommandError as on this machine, where a signal ended the command and it did not exit with this code itself */
async function verifyOwnEnd(
  client: LxdClient,
  container: string,
  unit: string,
  { label, stdout, stderr }: { label: string; stdout: string; stderr: string },
): Promise<void> {
  const take = `cd ${folder} && [ ! -e "$1" ] || cat "$1"`;
  const { stdout: name } = await askContainer(client, container, [
    '/bin/sh',
    '-c',
    take,
    'sh',
    `${unit}.end`,
  ]);
  if (name !== '') throw new CommandError(`${label} was ended by SIG${name.trim()}`, { stdout, stderr });
}

/**
 * Ends units of a container with everything that they started: SIGTERM, and SIGKILL after five seconds. Before that who
 * is about to start one: else it would come up behind us.
 */
const ender = `set -eu
IFS= read -r name
pkill -KILL -f "^/bin/sh -c .* sh $name" || :
systemctl stop -- "$name*"
rm -f ${folder}/"$name"*`;

/**
 * Ends commands of a container, and what they started. May be run twice.
 *
 * @param name how the names of their units begin
 * @throws Error if something is left
 */
export async function endUnits(client: LxdClient, container: string, name: string): Promise<void> {
  await client.machine.run({
    ...client.exec(container, ['/bin/sh', '-c', ender]),
    // Not as an argument: it looks for that.
    input: `${name}\n`,
    label: 'end of what runs inside',
    timeoutMs: 60_000,
  });
}
