import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { LockHeldError } from '../lib/errors.ts';
import { formatDuration } from '../lib/units.ts';
import type { HeldLock } from '../runtime/runtime.ts';
import { readJournal } from './journal.ts';
import { stepTitles } from './step-titles.ts';

/** Who holds the lock, for the one who does not get it. */
export interface Holder {
  readonly pid: number;
  readonly command: string;
  readonly startedAt: string;
}

/**
 * Takes the one lock of an appliance for the time of `work`. The kernel frees it however we die, and services that
 * are started meanwhile do not hold it. If its helper dies, `onLost` is called: the run must fail like a step.
 *
 * @throws LockHeldError that says who holds it, since when, and at which step
 */
export async function withRunLock<T>(
  appliance: Appliance,
  command: string,
  work: (lock: HeldLock) => Promise<T>,
): Promise<T> {
  appliance.state.ensure();
  const lock = await appliance.runtime.tryLock(appliance.state.lock);
  if (!lock)
    throw new LockHeldError(
      `cannot ${verbOf(command)}: ${describeHolder(appliance)}. Nothing was changed.`,
      './run.sh status --follow',
    );
  try {
    const holder: Holder = { pid: process.pid, command, startedAt: new Date().toISOString() };
    writeFileAtomic(appliance.state.lockHolder, `${JSON.stringify(holder)}\n`);
    return await work(lock);
  } finally {
    await lock.release();
  }
}

/** What a command does, as it stands after "cannot". */
export function verbOf(command: string): string {
  return { rollback: 'roll back', backup: 'back up', setup: 'set up' }[command] ?? command;
}

/** The holder as its file says, which may be that of a former one. */
export function readHolder(appliance: Appliance): Holder | undefined {
  try {
    return JSON.parse(readFileSync(appliance.state.lockHolder, 'utf8')) as Holder;
  } catch {
    return undefined;
  }
}

/** The step that the open run is at. */
export function currentStep(appliance: Appliance): string | undefined {
  const run = appliance.state.unfinishedRun();
  if (run === undefined) return undefined;
  try {
    const last = readJournal(join(appliance.state.run(run), 'journal.ndjson')).findLast(
      (record) => record.type === 'step-started' || record.type === 'restore-phase',
    );
    if (last?.type === 'restore-phase') return `restore: ${last.phase}`;
    return last?.type === 'step-started' ? stepTitles[last.step] : undefined;
  } catch {
    return undefined;
  }
}

function describeHolder(appliance: Appliance): string {
  const holder = readHolder(appliance);
  if (!holder) return 'another command is at work';
  const since = new Date(holder.startedAt);
  const clock = `${String(since.getHours()).padStart(2, '0')}:${String(since.getMinutes()).padStart(2, '0')}`;
  const step = currentStep(appliance);
  const where = step === undefined ? 'is at work' : `is at "${step}"`;
  return `the ${holder.command} of ${clock} (pid ${holder.pid}, ${formatDuration(Date.now() - since.getTime())}) ${where}`;
}
