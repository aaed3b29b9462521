import { Refusal } from '../../lib/errors.ts';
import {
  CommandError,
  type ServiceHandle,
  type ServiceLaunch,
  type ServiceState,
  type StopPolicy,
} from '../runtime.ts';
import type { LxdClient } from './client.ts';
import { askContainer } from './whole-output.ts';
import {
  admission,
  environmentFile,
  environmentFolder,
  serviceOf,
  serviceUnit,
  stopSettings,
  unitOf,
} from './units.ts';

/*
 * Services of containers: units of their systemd, enabled as long as they are meant to run, so that a container that is
 * started again, or a host, brings them back.
 */

/** One at a time: a start goes on whose run was killed, and the stop of its recovery comes behind it. */
const inTurn = `mkdir -p /run/holdfast
exec 9>/run/holdfast/services.lock
flock 9`;

/** Writes files from standard input, each behind a line with its size: $1 unit, $2 service, $3 folder of environments. */
const starter = `set -eu
umask 077
${inTurn}
take() { IFS= read -r size; head -c "$size" >"$1.new"; mv "$1.new" "$1"; }
mkdir -p "$3" "$(dirname ${admission})"
take "$3/$2.env"
take "/etc/systemd/system/$1"
chmod 644 "/etc/systemd/system/$1"
rm -rf "/run/systemd/system/$1.d"
[ "$4" = no ] || : >${admission}
systemctl daemon-reload
systemctl enable --quiet "$1"
systemctl start "$1"`;

/** @see Runtime.startService */
export async function startUnit(
  client: LxdClient,
  container: string,
  launch: ServiceLaunch,
  settings: { user: string; unfinished: string; description: string },
): Promise<void> {
  const unit = unitOf(launch.name);
  // By this mark it is told from a stranger who has a file open on this machine.
  const env = { ...launch.env, HOLDFAST_SERVICE: `${launch.stateFolder}/${launch.name}` };
  const parts = [environmentFile(env), serviceUnit(launch, settings)].map((text) => Buffer.from(text));
  const input = Buffer.concat(parts.flatMap((part) => [Buffer.from(`${part.length}\n`), part]));
  await client.machine.run({
    ...client.exec(container, ['/bin/sh', '-c', starter, 'sh', unit, launch.name, environmentFolder, 'yes']),
    input,
    label: `start of ${launch.name}`,
    timeoutMs: 120_000,
  });
}

/** Ends with what systemd knows of it, and with what its own processes do: $1 unit. The settings come by standard input. */
const stopper = `set -eu
unit=$1
${inTurn}
if systemctl cat -- "$unit" >/dev/null 2>&1; then
  mkdir -p "/run/systemd/system/$unit.d"
  cat >"/run/systemd/system/$unit.d/stop.conf"
  systemctl daemon-reload
  systemctl disable --quiet "$unit" || :
  systemctl stop "$unit"
  systemctl reset-failed "$unit" 2>/dev/null || :
  rm -rf "/run/systemd/system/$unit.d" "/etc/systemd/system/$unit" "$2/$3.env"
  systemctl daemon-reload
fi`;

/** @see Runtime.stopService Nothing of a service runs in a container that does not. */
export async function stopUnit(
  client: LxdClient,
  container: string,
  { name }: ServiceHandle,
  policy: StopPolicy,
): Promise<void> {
  try {
    await client.machine.run({
      ...client.exec(container, ['/bin/sh', '-c', stopper, 'sh', unitOf(name), environmentFolder, name]),
      input: stopSettings(policy),
      label: `stop of ${name}`,
      timeoutMs: policy.timeoutMs + 60_000,
    });
  } catch (error) {
    if (!(error instanceof CommandError) || !isDown(error.stderr)) throw error;
  }
}

/** @see Runtime.serviceState */
export async function unitState(client: LxdClient, container: string, name: string): Promise<ServiceState> {
  const show = ['systemctl', 'show', '--property=ActiveState,SubState,MainPID', '--', unitOf(name)];
  const { stdout, exitCode, stderr } = await askContainer(
    client,
    container,
    show,
    {},
    { allowFailure: true },
  );
  if (exitCode !== 0) {
    // Nothing runs in a container that does not.
    if (isDown(stderr)) return { running: false };
    verifyNotFrozen(container, stderr);
    throw new CommandError(`cannot ask ${container} for ${name}: ${stderr.trim()}`, {
      exitCode,
      stdout,
      stderr,
    });
  }
  const said = new Map(stdout.split('\n').map((line) => line.split('=') as [string, string]));
  const isRunning = said.get('ActiveState') === 'active' && said.get('SubState') === 'running';
  return isRunning ? { running: true, pid: Number(said.get('MainPID')) } : { running: false };
}

/** Services of a container that run, or are meant to. */
export async function knownUnits(client: LxdClient, container: string): Promise<string[]> {
  const list = ['sh', '-c', 'cd /etc/systemd/system && ls -1 | grep "^holdfast-.*[.]service$" || :'];
  const { stdout, exitCode, stderr } = await askContainer(
    client,
    container,
    list,
    {},
    { allowFailure: true },
  );
  if (exitCode !== 0) verifyNotFrozen(container, stderr);
  if (exitCode !== 0 && !isDown(stderr))
    throw new CommandError(`cannot ask ${container} for its services: ${stderr.trim()}`, {
      exitCode,
      stdout,
      stderr,
    });
  return stdout.split('\n').flatMap((unit) => serviceOf(unit) ?? []);
}

export const isDown = (said: string) => /not running|not found|is stopped/i.test(said);

/** @throws Refusal where a command was refused since the container stands still */
function verifyNotFrozen(container: string, said: string): void {
  if (/is frozen/i.test(said))
    throw new Refusal(`cannot go on: the container ${container} is frozen`, './run.sh start thaws it');
}
