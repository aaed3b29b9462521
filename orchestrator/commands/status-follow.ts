import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Appliance } from '../appliance/appliance.ts';
import { exitCodes } from '../lib/errors.ts';
import { formatDuration } from '../lib/units.ts';
import { readJournal, type JournalRecord } from '../pipeline/journal.ts';
import { describeOpenRun } from '../pipeline/run-lock.ts';
import { stepTitles } from '../pipeline/step-titles.ts';
import { readEnd } from './run-end.ts';
import type { Session } from './session.ts';

/** Shows the steps of the run that is under way as they come, until it ends. */
export async function followRun(session: Session, appliance: Appliance): Promise<number> {
  const run = appliance.state.unfinishedRun();
  if (run === undefined) {
    session.ui.result(
      { type: 'result', ok: true, exitCode: 0, outcome: 'nothing-under-way' },
      'No run is under way.\n  Next: ./run.sh status',
    );
    return exitCodes.ok;
  }
  let shown = 0;
  for (;;) {
    // Asked before it is read: a run that has ended meanwhile has said its last word by then.
    const isOver = appliance.state.unfinishedRun() !== run;
    const records = readJournal(join(appliance.state.run(run), 'journal.ndjson'));
    for (const record of records.slice(shown)) session.ui.print(describeRecord(record));
    shown = records.length;
    if (isOver) break;
    if (describeOpenRun(appliance)?.active === false) {
      session.ui.result(
        { type: 'result', ok: false, exitCode: 0, outcome: 'interrupted', run },
        `The run ${run} was interrupted.\n  Next: ./run.sh recover`,
      );
      return exitCodes.ok;
    }
    await sleep(200);
  }
  const outcome = readEnd(appliance, run)?.text ?? 'unknown';
  session.ui.result(
    { type: 'result', ok: true, exitCode: 0, outcome, run },
    `The run ${run} ended: ${outcome}.`,
  );
  return exitCodes.ok;
}

function describeRecord(record: JournalRecord): string {
  const clock = record.at.slice(11, 19);
  switch (record.type) {
    case 'step-started':
      return `${clock} ${stepTitles[record.step]}${record.half === 'prepare' ? ' (prepare)' : ''} ...`;
    case 'step-finished':
      return `${clock}   done in ${formatDuration(record.ms)}`;
    case 'step-failed':
      return `${clock}   failed: ${record.message}`;
    case 'restore-phase':
      return `${clock} restore: ${record.phase} ${record.state}`;
    default:
      return `${clock} ${record.type}`;
  }
}
