import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { exitCodes, HoldfastError, messageOf } from '../lib/errors.ts';
import { formatDuration, plural } from '../lib/units.ts';
import { loadAppliance } from '../config/load.ts';
import { pendingDataMigrationsInCheckout } from '../pipeline/data-pending.ts';
import type { Listener } from '../pipeline/events.ts';
import { recoverRun, type RecoveryReport } from '../pipeline/recovery.ts';
import { outcomeWhenDone, type RunOutcome } from '../pipeline/journal-entries.ts';
import { tellOthers } from '../pipeline/notify.ts';
import { recoveryFailed } from '../pipeline/damaged-run.ts';
import { forgetOpenRun } from '../pipeline/open-run.ts';
import { finishRun, readPinned, reopenRun, type Run } from '../pipeline/run.ts';
import { collectAfterRun } from '../pipeline/after-run.ts';
import { handOver } from '../runtime/hand-over.ts';
import { both, logListener } from '../ui/run-log.ts';
import type { Session } from './session.ts';

/** Ends the process with the exit code of another one that did the work. */
export class HandedOver extends HoldfastError {
  constructor(exitCode: number) {
    super('handed over', { exitCode });
  }
}

export interface Recovered {
  readonly run: Run;
  readonly report: RecoveryReport;
}

/**
 * Recovers a run that was left open, under the lock, before anything else is done. Undefined if there is none.
 *
 * @throws NotRestoredError whatever goes wrong in it: an appliance that was not recovered is not "unchanged"
 */
export async function recoverIfUnfinished(
  session: Session,
  appliance: Appliance,
): Promise<Recovered | undefined> {
  const id = appliance.state.unfinishedRun();
  if (id === undefined) return undefined;
  try {
    return await recoverUnfinished(session, appliance, id);
  } catch (error) {
    throw recoveryFailed(id, error);
  }
}

async function recoverUnfinished(session: Session, appliance: Appliance, id: string): Promise<Recovered> {
  const { state } = appliance;
  const { run, appliance: then } = reopenRun(state.path, id, {
    runtime: appliance.runtime,
    secrets: session.secrets,
    say: appliance.say,
  });
  session.ui.say(`The run ${id} was interrupted. Recovering first ...`);
  const listener = both(session.ui.listener, logListener(run.folder, session.secrets));
  const report = await recoverRun(then, run, 'the run was interrupted', listener);
  if (report.state !== 'unchanged') {
    try {
      await collectAfterRun(then, run, report.state === 'after' ? 'done' : 'restored');
    } catch (error) {
      listener({ type: 'warning', message: messageOf(error) });
    }
  }
  if (report.phase === 'finished') {
    then.state.clearUnfinished();
    forgetOpenRun(then.directory);
  } else finishRun(then, run, { outcome: outcomeOf(run, report) });
  if (report.phase !== 'finished') {
    await tellOthers(then, run, outcomeOf(run, report), describeRecovery(run, report), (message) =>
      listener({ type: 'warning', message }),
    );
  }
  session.ui.say(describeRecovery(run, report));
  if (report.state === 'after') await tellPendingData(then, listener);
  return { run, report };
}

/** An update may have been killed in what comes after its commit. */
async function tellPendingData(appliance: Appliance, listener: Listener): Promise<void> {
  const { config } = loadAppliance(appliance.file, { lenient: true });
  const pending = await pendingDataMigrationsInCheckout({ ...appliance, config });
  if (pending.length === 0) return;
  const message = `not run yet: ${plural(pending.length, 'data migration')} (${pending.join(', ')}). Next: ./run.sh data run`;
  listener({ type: 'warning', message });
}

/** What the journal says of a run that was recovered. */
function outcomeOf(run: Run, { state }: RecoveryReport): RunOutcome {
  if (state === 'unchanged') return 'interrupted';
  if (state === 'after') return outcomeWhenDone[run.started.kind];
  return run.started.kind === 'backup' ? 'failed-unchanged' : 'restored';
}

/** What a recovery did, as the operator reads it. */
export function describeRecovery(run: Run, report: RecoveryReport): string {
  const took = formatDuration(report.restoreMs);
  switch (report.state) {
    case 'unchanged':
      return `The interrupted ${run.started.kind} of ${run.id} had not touched anything. Nothing was changed.`;
    case 'after':
      if (run.journal.last('committed')?.leaveStopped === true)
        return `The interrupted ${run.started.kind} of ${run.id} was complete. The services stay down: the code that is here belongs to another schema.\n  Next: ./run.sh migrate status`;
      return `The interrupted ${run.started.kind} of ${run.id} was complete: ${run.started.toLabel} runs.`;
    case 'before':
      return report.compared === ''
        ? `The interrupted ${run.started.kind} of ${run.id} had changed nothing yet: ${run.started.fromLabel} runs again (${took}).`
        : `RESTORED to ${run.started.fromLabel} in ${took}.\n  compared: ${report.compared}`;
  }
}

/**
 * If another runner began the run that was left open, that one does the recovery, and then the whole command: before
 * the lock is taken, which it needs.
 *
 * @throws HandedOver when another runner did it
 */
export async function handOverToItsRunner(session: Session, appliance: Appliance): Promise<void> {
  const id = appliance.state.unfinishedRun();
  if (id === undefined || isRecoveringForOthers()) return;
  const { state } = appliance;
  const program = readPinned(state.path, id)?.program;
  if (!program || program.runner === session.program.runner || !existsSync(state.recoverScript)) return;
  throw new HandedOver((await handOver(state.recoverScript, session.argv)) ?? exitCodes.notRestored);
}

/**
 * After a recovery by the runner of an older version, the command itself belongs to the version that is there now:
 * run.sh is asked once more.
 */
export async function continueWithCurrentVersion(session: Session): Promise<never> {
  throw new HandedOver((await handOver(join(session.program.home, 'run.sh'), session.argv)) ?? 1);
}

/** True if run.sh handed over to us because we began the run that is open. */
export function isRecoveringForOthers(): boolean {
  return process.env['HOLDFAST_RECOVERING'] !== undefined;
}

/** The exit code of a command that found a run to recover and must not go on. */
export function exitCodeAfter(report: RecoveryReport): number {
  return report.state === 'before' ? exitCodes.restored : exitCodes.ok;
}
