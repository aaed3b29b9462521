import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance, Program } from '../appliance/appliance.ts';
import { exitCodes, HoldfastError, messageOf } from '../lib/errors.ts';
import { formatDuration } from '../lib/units.ts';
import { recoverRun, type RecoveryReport } from '../pipeline/recovery.ts';
import type { RunOutcome } from '../pipeline/journal-entries.ts';
import { tellOthers } from '../pipeline/notify.ts';
import { forgetOpenRun } from '../pipeline/open-run.ts';
import { finishRun, hasJournal, reopenRun, type Run } from '../pipeline/run.ts';
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
 * @throws NotRestoredError if the way back could not be walked
 */
export async function recoverIfUnfinished(
  session: Session,
  appliance: Appliance,
): Promise<Recovered | undefined> {
  const { state } = appliance;
  const id = state.unfinishedRun();
  if (id === undefined) return undefined;
  if (!hasJournal(state.path, id)) {
    state.clearUnfinished();
    forgetOpenRun(appliance.directory);
    return undefined;
  }
  session.ui.say(`The run ${id} was interrupted. Recovering first ...`);
  const { run, appliance: then } = reopenRun(state.path, id, {
    runtime: appliance.runtime,
    secrets: session.secrets,
    say: appliance.say,
  });
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
  return { run, report };
}

/** What the journal says of a run that was recovered. */
function outcomeOf(run: Run, { state }: RecoveryReport): RunOutcome {
  if (state === 'unchanged') return 'interrupted';
  if (state === 'after') return run.started.kind === 'rollback' ? 'rolled-back' : 'updated';
  return run.started.kind === 'backup' ? 'failed-unchanged' : 'restored';
}

/** What a recovery did, as the operator reads it. */
export function describeRecovery(run: Run, report: RecoveryReport): string {
  const took = formatDuration(report.restoreMs);
  switch (report.state) {
    case 'unchanged':
      return `The interrupted ${run.started.kind} of ${run.id} had not touched anything. Nothing was changed.`;
    case 'after':
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
  const pinned = readPinnedProgram(appliance, id);
  if (!pinned || pinned.runner === session.program.runner || !existsSync(appliance.state.recoverScript))
    return;
  throw new HandedOver(await handOver(appliance.state.recoverScript, session.argv));
}

/**
 * After a recovery by the runner of an older version, the command itself belongs to the version that is there now:
 * run.sh is asked once more.
 */
export async function continueWithCurrentVersion(session: Session): Promise<never> {
  throw new HandedOver(await handOver(join(session.program.home, 'run.sh'), session.argv));
}

/** True if run.sh handed over to us because we began the run that is open. */
export function isRecoveringForOthers(): boolean {
  return process.env['HOLDFAST_RECOVERING'] !== undefined;
}

/** The exit code of a command that found a run to recover and must not go on. */
export function exitCodeAfter(report: RecoveryReport): number {
  return report.state === 'before' ? exitCodes.restored : exitCodes.ok;
}

function readPinnedProgram(appliance: Appliance, id: string): Program | undefined {
  try {
    return (
      JSON.parse(readFileSync(join(appliance.state.run(id), 'configuration.json'), 'utf8')) as {
        program: Program;
      }
    ).program;
  } catch {
    return undefined;
  }
}
