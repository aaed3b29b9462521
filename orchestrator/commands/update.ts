import { runningServices } from '../appliance/services.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { exitCodes, HoldfastError } from '../lib/errors.ts';
import type { Register } from '../main.ts';
import { pendingDataMigrationsInCheckout } from '../pipeline/data-pending.ts';
import { migratesByItself, verifyForwardOnly } from '../pipeline/own-migrations.ts';
import { notifyAll } from '../pipeline/notify.ts';
import { lintCommand, lintTarget } from '../pipeline/schema-gate.ts';
import { stepsOfUpdate } from '../pipeline/steps.ts';
import { findDestination, type Destination } from '../pipeline/target.ts';
import { updateCommand, type AskedUpdate } from '../pipeline/update-command.ts';
import type { Linted } from '../schema-migrations/lint/lint.ts';
import { findPending } from '../steps/migrate-schema.ts';
import { locked, type Locked } from './locked.ts';
import { consentToLoss, tellRelease } from './consent.ts';
import { exitCodeAfter } from './recovering.ts';
import { verifyRehearsed } from './rehearsal-report.ts';
import { rehearseAndTell } from './rehearse.ts';
import { runAndTell } from './run-and-tell.ts';
import { setUpOrTell } from './setup.ts';
import type { Session } from './session.ts';
import { showPlan } from './update-plan.ts';

interface UpdateOptions extends AskedUpdate {
  readonly dryRun?: boolean;
}

export const registerUpdate: Register = (program, act) => {
  program
    .command('update')
    .description('update the appliance as a whole, or leave it exactly as it was')
    .option('--to <ref>', 'a branch, tag or commit, instead of the one that appliance.yaml follows')
    .option('--allow-destructive', 'apply schema migrations that take data away')
    .option('--rehearse', 'try the migrations on a copy of the database first, while the appliance serves')
    .option('--migrate', 'migrate although environment is test: for integration tests')
    .option('--forward-only', 'migrate although the database is shared, and no restore takes that back')
    .option('--dry-run', 'show what would happen; nothing is stopped or changed')
    .addHelpText(
      'after',
      '\nExit: 0 updated or current, 3 refused, 4 another run is at work, 10 failed and restored, 11 failed and NOT restored.',
    )
    .action(
      act(async (session, options: UpdateOptions) => {
        if (options.dryRun) return await showPlan(session, options.to);
        return await locked(
          session,
          'update',
          async (state) =>
            await tellingRefusals(session, state, async () => await update(session, state, options)),
        );
      }),
    );
};

async function update(
  session: Session,
  { appliance, signals, recovered }: Locked,
  options: UpdateOptions,
): Promise<number> {
  const { ui } = session;
  if (recovered && recovered.report.state !== 'unchanged') {
    // Trying again at once would be a loop under cron: the operator decides.
    const exitCode = exitCodeAfter(recovered.report);
    ui.result(
      {
        type: 'result',
        ok: exitCode === 0,
        exitCode,
        outcome: recovered.report.state === 'before' ? 'restored' : 'updated',
        run: recovered.run.id,
        identical: recovered.report.compared !== '',
      },
      `The interrupted run was brought to its end; no new update was begun.\n  Next: ${updateCommand({ asked: options })}, whenever it suits you.`,
    );
    return exitCode;
  }
  if (!appliance.state.isInstalled()) {
    ui.say('This checkout was never set up: setting it up first.');
    await setUpOrTell(session, appliance, signals);
  }
  const destination = await findDestination(appliance, options.to);
  const migrate = options.migrate === true;
  if (destination.relation !== 'newer' && !(await hasPendingWork(appliance, migrate)))
    return await tellCurrent(session, appliance, destination);
  const { origin } = destination;
  const target = {
    ...(destination.relation === 'newer'
      ? destination.target
      : { commit: origin.commit, label: origin.label, config: appliance.config }),
    asked: options,
  };
  await tellRelease(session, appliance, origin, target);
  const migrates = migratesByItself(target.config, migrate);
  if (migrates && options.forwardOnly !== true && appliance.database?.isShared === true)
    await verifyForwardOnly(appliance, origin, target);
  const allowDestructive =
    options.allowDestructive === true ||
    (migrates &&
      session.ui.canAsk &&
      (await consentToLoss(session, await lintNow(appliance, origin, target), lintCommand(target))));
  if (options.rehearse === true)
    verifyRehearsed(
      await rehearseAndTell(session, appliance, target, { signal: signals.abort.signal }),
      target,
    );
  return await runAndTell(session, {
    appliance,
    signals,
    kind: 'update',
    ...stepsOfUpdate(target.config),
    ...{ origin, target, allowDestructive, migrate },
    snapshot: { kind: 'update' },
  });
}

/** The migrations of a target against the database as it is now. */
async function lintNow(
  appliance: Appliance,
  origin: Destination['origin'],
  target: Destination['target'],
): Promise<Linted[]> {
  await appliance.database?.ensureRunning();
  return await lintTarget(appliance, origin, target);
}

/** The code is current, but a migration of it was never applied: then there is something to do. */
async function hasPendingWork(appliance: Appliance, migrate: boolean): Promise<boolean> {
  if (!appliance.database || !migratesByItself(appliance.config, migrate)) return false;
  await appliance.database.ensureRunning();
  return (
    (await findPending(appliance, appliance.config)).length > 0 ||
    (await pendingDataMigrationsInCheckout(appliance)).length > 0
  );
}

async function tellCurrent(
  session: Session,
  appliance: Appliance,
  { origin, relation }: Destination,
): Promise<number> {
  const running = (await runningServices(appliance, appliance.config)).length;
  const stopped = Object.keys(appliance.config.services).length - running;
  const ahead = relation === 'older' ? ' (newer than what it follows)' : '';
  const hint = stopped === 0 ? '' : `\n  ${stopped} of its services do not run.\n  Next: ./run.sh start`;
  session.ui.result(
    { type: 'result', ok: true, exitCode: 0, outcome: 'current', from: origin.commit, to: origin.commit },
    `Already current: ${origin.label}${ahead}. Nothing was stopped.${hint}`,
  );
  return exitCodes.ok;
}

/** An update that a timer began and that was refused: nobody reads its output, so those who want to know are told. */
async function tellingRefusals(
  session: Session,
  { appliance }: Locked,
  work: () => Promise<number>,
): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof HoldfastError) {
      const message = session.secrets.mask(`update refused: ${error.message}`);
      const about = { appliance: appliance.config.name, run: '', from: '', to: '', outageMs: 0 };
      await notifyAll(appliance, { event: 'refused', message, ...about }, (warning) =>
        session.ui.say(warning),
      );
    }
    throw error;
  }
}
