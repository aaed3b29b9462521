import type { Appliance } from '../appliance/appliance.ts';
import { Refusal } from '../lib/errors.ts';
import { takeSignals, type Signals } from '../lib/signals.ts';
import { dropOwnLocks } from '../tools/git-checkout.ts';
import { removeRehearsal } from '../pipeline/rehearsal.ts';
import { verbOf, withRunLock } from '../pipeline/run-lock.ts';
import {
  continueWithCurrentVersion,
  handOverToItsRunner,
  isRecoveringForOthers,
  recoverIfUnfinished,
  type Recovered,
} from './recovering.ts';
import type { Session } from './session.ts';

/** What makes no sense before `setup`. */
const needsSetup = new Set([
  ...['start', 'restart', 'redo', 'backup', 'rollback'],
  ...['rehearse', 'migrate deploy', 'migrate down', 'migrate resolve'],
  ...['migrate generate', 'migrate generate-down', 'migrate test-down'],
  ...['migrate dev', 'db seed', 'db push', 'db reset', 'db restore'],
  ...['data run', 'data retry', 'data rerun', 'data skip', 'data down'],
]);

/** What would set another environment back with this one, or take its tables from under it. */
const refusedOnShared = new Set([
  ...['rollback', 'migrate down', 'data down'],
  ...['db reset', 'db push', 'db restore', 'migrate dev'],
]);

export interface Locked {
  readonly appliance: Appliance;
  readonly signals: Signals;
  /** The run that had been interrupted, and was brought to its end before this. */
  readonly recovered: Recovered | undefined;
}

/**
 * A command that changes the appliance: under the one lock, signals taken over, an interrupted run recovered first.
 *
 * @param name as it stands in "cannot NAME: ..." and in the lock's file
 * @param how.lenient files that the configuration names may be missing
 */
export async function locked(
  session: Session,
  name: string,
  work: (locked: Locked) => Promise<number>,
  how: { lenient?: boolean } = {},
): Promise<number> {
  const appliance = session.open(how);
  await handOverToItsRunner(session, appliance);
  const signals = takeSignals((line) => session.ui.say(line));
  let mustContinue = false;
  try {
    const exitCode = await withRunLock(appliance, name, async (lock) => {
      // A lock that is lost is as good as a signal: somebody else may begin any moment.
      void lock.lost.then((error) => signals.abort.abort(error));
      const recovered = await recoverIfUnfinished(session, appliance);
      await removeRehearsal(appliance);
      if (appliance.state.isInstalled()) await dropOwnLocks(appliance.runtime, appliance.directory);
      if (recovered && isRecoveringForOthers() && !['update', 'recover'].includes(name)) {
        mustContinue = true;
        return 0;
      }
      if (needsSetup.has(name) && !appliance.state.isInstalled()) {
        throw new Refusal(`cannot ${verbOf(name)}: this checkout was never set up`, './run.sh setup');
      }
      if (refusedOnShared.has(name) && appliance.database?.isShared === true)
        throw new Refusal(
          `cannot ${verbOf(name)}: another environment works on this database as well (database.shared), and would be changed with this one`,
          'go forward: ./run.sh update to a release that mends it; snapshots hold a dump (RESTORE.md in each says how to use it by hand)',
        );
      // After a recovery the configuration in the checkout counts again.
      return await work({ appliance: recovered ? session.open(how) : appliance, signals, recovered });
    });
    return mustContinue ? await continueWithCurrentVersion(session) : exitCode;
  } finally {
    signals.release();
  }
}
