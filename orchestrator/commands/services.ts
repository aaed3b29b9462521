import { runningServices, stopServices, verifyPortsAreOurs } from '../appliance/services.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { Refusal } from '../lib/errors.ts';
import { plural } from '../lib/units.ts';
import type { Register } from '../main.ts';
import { openToAll, startAndVerify } from '../pipeline/starting.ts';
import { readOrigin } from '../pipeline/target.ts';
import { migratesByItself } from '../pipeline/own-migrations.ts';
import { findPending } from '../steps/migrate-schema.ts';
import { addresses } from './addresses.ts';
import { locked, type Locked } from './locked.ts';
import type { Session } from './session.ts';

export const registerServices: Register = (program, act) => {
  program
    .command('start')
    .description('start the services (and the embedded database), and wait until they are healthy')
    .option('--as-before', 'only those that ran when the machine went down; what was stopped stays stopped')
    .action(
      act(
        async (session, options: { asBefore?: boolean }) =>
          await locked(
            session,
            'start',
            async (state) => await start(session, state, options.asBefore === true),
          ),
      ),
    );
  program
    .command('stop')
    .description('stop the services; --database stops the embedded database, too')
    .option('--database', 'stop the embedded database as well')
    .action(
      act(
        async (session, options: { database?: boolean }) =>
          await locked(session, 'stop', async (state) => {
            await stop(session, state, options.database === true);
            session.ui.result(
              { type: 'result', ok: true, exitCode: 0, outcome: 'stopped' },
              'Stopped.\n  Next: ./run.sh start',
            );
            return 0;
          }),
      ),
    );
  program
    .command('restart')
    .description('stop the services, then start them')
    .action(
      act(
        async (session) =>
          await locked(session, 'restart', async (state) => {
            await state.appliance.database?.ensureRunning();
            await verifySchemaFits(state.appliance);
            await stop(session, state, false);
            return await start(session, state, false);
          }),
      ),
    );
};

async function start(session: Session, { appliance }: Locked, asBefore: boolean): Promise<number> {
  await appliance.runtime.prepare();
  await verifyPortsAreOurs(appliance, appliance.config);
  const before = (await runningServices(appliance, appliance.config)).length;
  const origin = await readOrigin(appliance);
  await openToAll(appliance);
  await verifySchemaFits(appliance);
  // A service that was stopped has no record any more; one that a power cut ended has.
  const ranBefore = await appliance.runtime.startedServices(appliance.state.services);
  await startAndVerify(appliance, appliance.config, origin, {
    note: sayOnce(session),
    onOther: (message) => session.ui.say(session.ui.paint.yellow(`! ${message}`)),
    ...(asBefore && { only: new Set(ranBefore) }),
  });
  const started = (await runningServices(appliance, appliance.config)).length - before;
  session.ui.result(
    { type: 'result', ok: true, exitCode: 0, outcome: 'started', started },
    `${started === 0 ? `All services ${asBefore ? 'that ran before ' : ''}run already` : `${plural(started, 'service')} started`}: ${addresses(appliance.config).join(', ')}`,
  );
  return 0;
}

/** The schema migrations of the code that is here which its database does not have. */
export async function findUnapplied(appliance: Appliance): Promise<string[]> {
  // In a test environment the schema is pushed, and nobody keeps books.
  return migratesByItself(appliance.config) ? await findPending(appliance, appliance.config) : [];
}

/** Code whose own schema migrations are not applied would fail, or write what the schema does not mean. Throws Refusal. */
async function verifySchemaFits(appliance: Appliance): Promise<void> {
  const pending = await findUnapplied(appliance);
  if (pending.length === 0) return;
  throw new Refusal(
    `cannot start the services: ${plural(pending.length, 'schema migration')} of the code that is here ${pending.length === 1 ? 'is' : 'are'} not applied (${pending.join(', ')})`,
    './run.sh migrate deploy applies them, after a snapshot',
  );
}

async function stop(session: Session, { appliance }: Locked, database: boolean): Promise<void> {
  await stopServices(appliance, appliance.config, (line) => session.ui.say(line));
  if (database) await appliance.database?.stop();
}

/** Says a line, unless it says the same as the one before: waiting is told once. */
function sayOnce(session: Session): (line: string) => void {
  let last = '';
  return (line) => {
    if (line !== last) session.ui.say(line);
    last = line;
  };
}
