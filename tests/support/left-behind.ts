import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runMark } from '../../orchestrator/appliance/appliance.ts';
import { findByEnvironment } from '../../orchestrator/lib/processes.ts';
import { phaseOf, type RunPhase } from '../../orchestrator/pipeline/journal-entries.ts';
import { readJournal } from '../../orchestrator/pipeline/journal.ts';
import { waitingMark } from './broken-releases.ts';
import { Cli } from './cli.ts';
import type { Ledger } from './ledger.ts';

/** The run that was not brought to its end, and how far it came by its journal. */
export function unfinishedRun(ledger: Ledger): { run: string; phase: RunPhase } {
  const { state } = ledger.open();
  const run = state.unfinishedRun() ?? 'none';
  return { run, phase: phaseOf(readJournal(join(state.run(run), 'journal.ndjson'))) };
}

/** What is left of a run after its recovery, each as a line: processes, database sessions, marks, the lock. */
export async function leftOf(ledger: Ledger, run: string): Promise<string[]> {
  const appliance = ledger.open();
  const { state, runtime } = appliance;
  const left = findByEnvironment('HOLDFAST_RUN', runMark(appliance, run)).map((pid) => `process ${pid}`);
  if (state.unfinishedRun() !== undefined) left.push('the mark of an unfinished run');
  if (existsSync(join(state.run(run), 'reserve'))) left.push('the reserve for a restore');
  const lock = await runtime.tryLock(state.lock);
  if (lock) await lock.release();
  else left.push('the lock');
  // Services that a committed run started are what it leaves on purpose; their sessions carry its name.
  const journal = readJournal(join(state.run(run), 'journal.ndjson'));
  if (journal.some(({ type }) => type === 'committed')) return left;
  if (appliance.database?.engine !== 'postgresql') return left;
  const sessions = await ledger.sql(
    `select pid, query from pg_stat_activity where application_name = 'holdfast:${run}'`,
  );
  return [...left, ...sessions.map((session) => `database session ${JSON.stringify(session)}`)];
}

/** Until the release that is being installed waits in the middle of something. */
export async function untilWaiting(ledger: Ledger, cli: Cli): Promise<void> {
  const mark = join(ledger.sandbox.root, waitingMark);
  await cli.until(`the release made ${mark}`, () => existsSync(mark));
  rmSync(mark);
}

/** Only after a test that failed there is something to do: the next one shall find a whole appliance all the same. */
export async function tidyUp(ledger: Ledger | undefined): Promise<void> {
  await Cli.endAll();
  if (ledger?.open().state.unfinishedRun() !== undefined) await Cli.run(ledger, 'recover');
}
