import { Refusal } from '../lib/errors.ts';
import { shellWord } from '../lib/shell-word.ts';
import { lintCheckout } from '../pipeline/schema-gate.ts';
import { migrateSteps } from '../pipeline/steps.ts';
import { readOrigin } from '../pipeline/target.ts';
import { findPending } from '../steps/migrate-schema.ts';
import { consentToLoss } from './consent.ts';
import { locked } from './locked.ts';
import { runAndTell } from './run-and-tell.ts';
import type { Session } from './session.ts';

export interface DeployOptions {
  readonly to?: string;
  readonly allowDestructive?: boolean;
  readonly forwardOnly?: boolean;
}

/** `migrate deploy`: a snapshot, then the migrations that lie here, restored as a whole on failure. */
export async function deployMigrations(session: Session, options: DeployOptions): Promise<number> {
  return await locked(session, 'migrate deploy', async ({ appliance, signals }) => {
    const { database, config } = appliance;
    if (!database) throw new Refusal('cannot migrate: this appliance has no database');
    await database.ensureRunning();
    const { to } = options;
    if (to !== undefined && config.prisma?.deploy !== 'holdfast')
      throw new Refusal(
        'cannot stop at a migration: prisma.deploy is a command of its own, which applies all of them',
        './run.sh migrate deploy',
      );
    const all = await findPending(appliance, config);
    if (to !== undefined && !all.includes(to))
      throw new Refusal(
        `cannot migrate up to ${to}: it is not pending`,
        './run.sh migrate status lists what is',
      );
    if (config.prisma?.deploy === 'holdfast' && all.length === 0) {
      session.ui.result(
        { type: 'result', ok: true, exitCode: 0, outcome: 'current', migrations: [] },
        'No migration is pending. Nothing was stopped.',
      );
      return 0;
    }
    const origin = await readOrigin(appliance);
    if (database.isShared === true && options.forwardOnly !== true)
      throw new Refusal(
        `cannot migrate: the database is shared with another environment, so that a failure could not take back what was applied (${all.join(', ') || 'by the command of its own'})`,
        `if the code of both environments works before and after each of them: ./run.sh migrate deploy${to === undefined ? '' : ` --to ${shellWord(to)}`} --forward-only`,
      );
    const allowDestructive =
      options.allowDestructive === true ||
      (session.ui.canAsk &&
        (await consentToLoss(session, await lintCheckout(appliance, to), './run.sh migrate lint')));
    const migrations = all.filter((name) => to === undefined || name <= to);
    return await runAndTell(
      session,
      {
        ...{ appliance, signals, kind: 'migrate', steps: migrateSteps, origin, allowDestructive },
        target: { commit: origin.commit, label: origin.label, config },
        snapshot: { kind: 'update' },
        migrating: { to },
      },
      { migrations },
    );
  });
}
