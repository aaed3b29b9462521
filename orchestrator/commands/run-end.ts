import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { tryReadJournal } from '../pipeline/journal.ts';
import { stepTitles } from '../pipeline/step-titles.ts';

/** How a run ended: its outcome, for programs, and with its failed step, for people. */
export interface RunEnd {
  readonly outcome: string;
  readonly text: string;
}

/** How a run ended; undefined if it did not. */
export function readEnd(appliance: Appliance, run: string): RunEnd | undefined {
  const records = tryReadJournal(join(appliance.state.run(run), 'journal.ndjson'));
  if (!records) return { outcome: 'unknown', text: 'its journal is damaged' };
  const finished = records.findLast((record) => record.type === 'finished');
  if (finished?.type !== 'finished') return undefined;
  const { outcome, failedStep } = finished;
  return {
    outcome,
    text: `${outcome}${failedStep === undefined ? '' : ` (${stepTitles[failedStep]} failed)`}`,
  };
}
