import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { exitCodes } from '../lib/errors.ts';
import { formatDuration } from '../lib/units.ts';
import { tryReadJournal } from '../pipeline/journal.ts';
import { stepTitles } from '../pipeline/step-titles.ts';
import { formatColumns } from '../ui/columns.ts';
import type { Session } from './session.ts';

/** The runs so far, newest first. */
export function showHistory(session: Session, appliance: Appliance): number {
  const runs = appliance.state
    .runIds()
    .toReversed()
    .map((run) => describeRun(appliance, run));
  const rows = runs.map(({ run, kind, from, to, outcome, failedStep, outageMs }) => [
    run,
    kind ?? '',
    from === to ? (from ?? '') : `${from} -> ${to}`,
    failedStep === undefined ? outcome : `${outcome} (${stepTitles[failedStep]} failed)`,
    outageMs === undefined || outageMs === 0 ? '' : formatDuration(outageMs),
  ]);
  const lines = formatColumns(['RUN', 'KIND', 'VERSIONS', 'OUTCOME', 'OFFLINE'], rows, {
    header: session.ui.paint.bold,
  });
  session.ui.result(
    { type: 'result', ok: true, exitCode: 0, runs },
    runs.length === 0 ? 'No run yet.' : lines.join('\n'),
  );
  return exitCodes.ok;
}

function describeRun(appliance: Appliance, run: string) {
  const records = tryReadJournal(join(appliance.state.run(run), 'journal.ndjson')) ?? [];
  const started = records.find((record) => record.type === 'run-started');
  const finished = records.findLast((record) => record.type === 'finished');
  return {
    run,
    startedAt: started?.at,
    kind: started?.kind,
    from: started?.fromLabel,
    to: started?.toLabel,
    outcome: finished?.outcome ?? (records.length === 0 ? 'its journal is damaged' : 'unfinished'),
    failedStep: finished?.failedStep,
    outageMs: finished?.outageMs,
  };
}
