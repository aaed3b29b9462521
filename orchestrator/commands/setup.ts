import type { Register } from '../main.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { exitCodes, HoldfastError, messageOf } from '../lib/errors.ts';
import type { Signals } from '../lib/signals.ts';
import { setUp } from '../pipeline/setup.ts';
import type { Session } from './session.ts';
import { locked } from './locked.ts';
import { addresses } from './addresses.ts';

export const registerSetup: Register = (program, act) => {
  program
    .command('setup')
    .description(
      'set up this checkout: database, packages, build, migrations, services; changes nothing that is there',
    )
    .action(
      act(
        async (session) =>
          await locked(session, 'setup', async ({ appliance, signals }) => {
            await setUpOrTell(session, appliance, signals);
            const where = addresses(appliance.config);
            session.ui.result(
              { type: 'result', ok: true, exitCode: 0, outcome: 'set-up', addresses: where },
              `Set up. ${where.length === 0 ? '' : `Look at ${where.join(' and ')}.`}\n  Next: ./run.sh update, whenever a new version is out.`,
            );
            return 0;
          }),
      ),
    );
};

/** Sets up. What fails in it is mostly the appliance's own build: told as such, with what to do. Throws HoldfastError. */
export async function setUpOrTell(session: Session, appliance: Appliance, signals: Signals): Promise<void> {
  const { driver, listener } = session.ui;
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
