import { Option } from 'commander';
import type { Register } from '../main.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { exitCodes, HoldfastError, messageOf } from '../lib/errors.ts';
import type { Signals } from '../lib/signals.ts';
import { setUp } from '../pipeline/setup.ts';
import type { Session } from './session.ts';
import { locked } from './locked.ts';
import { bootUnitName } from '../tools/systemd.ts';
import { addresses } from './addresses.ts';
import { installBootUnit, removeBootUnit } from './boot-recovery.ts';
import { chooseRuntime, keepRuntime } from './choose-runtime.ts';

export const registerSetup: Register = (program, act) => {
  program
    .command('setup')
    .description(
      'set up this checkout: database, packages, build, migrations, services; changes nothing that is there',
    )
    .addOption(
      new Option(
        '--runtime <where>',
        'lxd: in containers; local: as processes of this machine. Remembered for this machine, whatever appliance.yaml says',
      ).choices(['local', 'lxd']),
    )
    .option('--boot-recovery', 'after a reboot recover and start by itself: installs a systemd unit')
    .option('--no-boot-recovery', 'remove that unit')
    .option('--root <folder>', 'with these: the folder in which another machine is mounted, as for systemctl')
    .action(
      act(async (session, options: SetupOptions) => {
        const appliance = session.open();
        if (options.bootRecovery === false) return await noBootRecovery(session, appliance, options);
        // A unit belongs to root, the appliance need not: on one that is set up already root touches nothing else.
        const hasToSetUp =
          options.bootRecovery === undefined ||
          options.runtime !== undefined ||
          !appliance.state.isInstalled();
        const exitCode = hasToSetUp ? await setUpLocked(session, options.runtime) : 0;
        return options.bootRecovery === undefined
          ? exitCode
          : await bootRecovery(session, appliance, options);
      }),
    );
};

interface SetupOptions {
  readonly runtime?: 'local' | 'lxd';
  readonly bootRecovery?: boolean;
  readonly root?: string;
}

async function setUpLocked(session: Session, runtime: SetupOptions['runtime']): Promise<number> {
  return await locked(session, 'setup', async ({ appliance: found, signals }) => {
    const isOther = runtime !== undefined && chooseRuntime(found, runtime);
    const appliance = isOther ? session.open() : found;
    await setUpOrTell(session, appliance, signals);
    const where = addresses(appliance.config);
    session.ui.result(
      { type: 'result', ok: true, exitCode: 0, outcome: 'set-up', addresses: where },
      `Set up. ${where.length === 0 ? '' : `Look at ${where.join(' and ')}.`}\n  Next: ./run.sh update, whenever a new version is out.`,
    );
    return 0;
  });
}

async function bootRecovery(session: Session, appliance: Appliance, { root }: SetupOptions): Promise<number> {
  const isNew = await installBootUnit(appliance, root);
  const name = bootUnitName(appliance.config.name);
  session.ui.result(
    { type: 'result', ok: true, exitCode: 0, outcome: 'boot-recovery', unit: name, changed: isNew },
    `${isNew ? 'Installed' : 'Already there:'} ${name}: after a reboot this appliance recovers, and what ran before starts again.\n  Away with it:  ./run.sh setup --no-boot-recovery`,
  );
  return 0;
}

async function noBootRecovery(
  session: Session,
  appliance: Appliance,
  { root }: SetupOptions,
): Promise<number> {
  const changed = await removeBootUnit(appliance, root);
  session.ui.result(
    { type: 'result', ok: true, exitCode: 0, outcome: 'no-boot-recovery', changed },
    changed
      ? 'Removed. After a reboot somebody has to type ./run.sh start.'
      : 'There is no boot unit of this appliance.',
  );
  return 0;
}

/** Sets up. What fails in it is mostly the appliance's own build: told as such, with what to do. Throws HoldfastError. */
export async function setUpOrTell(session: Session, appliance: Appliance, signals: Signals): Promise<void> {
  const { driver, listener } = session.ui;
  const kept = keepRuntime(appliance);
  if (kept !== undefined) session.ui.say(kept);
  try {
    await setUp(appliance, { driver, listener, signal: signals.abort.signal });
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    throw new HoldfastError(`cannot set up: ${messageOf(error)}`, {
      exitCode: exitCodes.internal,
      next: 'mend what it says, then ./run.sh setup goes on where it stopped',
      cause: error,
    });
  }
}
