import type { Register } from '../main.ts';
import { setUp } from '../pipeline/setup.ts';
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
            await setUp(appliance, {
              driver: session.ui.driver,
              listener: session.ui.listener,
              signal: signals.abort.signal,
            });
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
