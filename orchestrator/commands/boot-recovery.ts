import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { removeDurably, writeFileAtomic } from '../lib/atomic-file.ts';
import { hasCode, Refusal } from '../lib/errors.ts';
import {
  bootUnitMark,
  bootUnitName,
  bootUnitText,
  cronLine,
  reloadUnits,
  type BootUnit,
} from '../tools/systemd.ts';

/** What containers are started by: LXD as Debian and as a snap have it, or Incus. Those that are not there are not waited for. */
const daemons = ['lxd.service', 'snap.lxd.daemon.service', 'incus.service', 'postgresql.service'];

interface Place {
  readonly unit: string;
  readonly wanted: string;
  /** False below another root: an image that is being made is not running. */
  readonly isLive: boolean;
}

function placeOf(appliance: Appliance, root: string | undefined): Place {
  const folder = join(root ?? '/', 'etc/systemd/system');
  const name = bootUnitName(appliance.config.name);
  return {
    unit: join(folder, name),
    wanted: join(folder, 'multi-user.target.wants', name),
    isLive: root === undefined,
  };
}

/**
 * Installs the unit that recovers and starts this appliance after a reboot. May be run twice.
 *
 * @param root where the machine's files are, if not here: a mounted image, as with `systemctl --root`
 * @returns true if there was something to do
 * @throws Refusal where there is no systemd, where the unit is not ours to write, or where its name is taken
 */
export async function installBootUnit(appliance: Appliance, root: string | undefined): Promise<boolean> {
  const place = placeOf(appliance, root);
  const unit = await describeUnit(appliance);
  if (place.isLive && !existsSync('/run/systemd/system')) {
    throw new Refusal(
      'cannot install a boot unit: this machine does not run systemd',
      `add this line with "crontab -e", as ${unit.user}: ${cronLine(unit)}`,
    );
  }
  verifyOurs(place.unit, appliance.directory);
  const text = bootUnitText(unit);
  if (existsSync(place.unit) && readFileSync(place.unit, 'utf8') === text && existsSync(place.wanted))
    return false;
  await changing(appliance, place, '--boot-recovery', () => {
    mkdirSync(dirname(place.wanted), { recursive: true, mode: 0o755 });
    writeFileAtomic(place.unit, text, 0o644);
    rmSync(place.wanted, { force: true });
    // What `systemctl enable` does.
    symlinkSync(join('..', bootUnitName(appliance.config.name)), place.wanted);
  });
  return true;
}

/** Takes it away again. May be run twice. @returns true if there was one. Throws Refusal. */
export async function removeBootUnit(appliance: Appliance, root: string | undefined): Promise<boolean> {
  const place = placeOf(appliance, root);
  if (!existsSync(place.unit)) return false;
  verifyOurs(place.unit, appliance.directory);
  await changing(appliance, place, '--no-boot-recovery', () => {
    rmSync(place.wanted, { force: true });
    removeDurably(place.unit);
  });
  return true;
}

async function changing(
  appliance: Appliance,
  { unit, isLive }: Place,
  option: string,
  change: () => void,
): Promise<void> {
  try {
    change();
  } catch (error) {
    if (!hasCode(error, 'EACCES', 'EPERM', 'EROFS')) throw error;
    throw new Refusal(
      `cannot write ${unit}: it belongs to the machine`,
      `sudo ${join(appliance.program.home, 'run.sh')} setup ${option}`,
      error,
    );
  }
  if (isLive) await appliance.runtime.run(reloadUnits());
}

/** Two appliances of one name on one machine: the second must not take the first one's unit. */
function verifyOurs(path: string, directory: string): void {
  if (!existsSync(path) || readFileSync(path, 'utf8').startsWith(`${bootUnitMark(directory)}\n`)) return;
  throw new Refusal(
    `cannot use ${path}: it was not written for ${directory}`,
    'remove that unit, or give one of the two appliances another name in appliance.yaml',
  );
}

/** It runs as the owner of the state, whoever installs it: as somebody else it would leave files that he cannot use. */
async function describeUnit(appliance: Appliance): Promise<BootUnit> {
  const { program, directory, file, config, state, runtime, node } = appliance;
  const { uid } = statSync(existsSync(state.path) ? state.path : directory);
  const owner = await runtime.run(
    { file: 'id', args: ['--name', '--user', '--', String(uid)], label: 'id' },
    { allowFailure: true },
  );
  return {
    appliance: config.name,
    directory,
    door: join(program.home, 'run.sh'),
    options: program.home === directory ? [] : ['--appliance', file],
    after: config.runtime === 'lxd' ? daemons : ['postgresql.service'],
    user: owner.stdout.trim() || String(uid),
    // The appliance's Node may be the containers' own.
    path: `${dirname(config.runtime === 'lxd' ? program.node : node)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin`,
  };
}
