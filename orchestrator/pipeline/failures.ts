import { join } from 'node:path';
import { HoldfastError, messageOf, NotRestoredError } from '../lib/errors.ts';
import { findWhole, listSnapshots } from '../snapshot/store.ts';
import type { StepName } from './journal-entries.ts';
import type { Run } from './run.ts';

/* What is written down and told of a run that failed. */

/** The journal may be what failed (a full disk): recovery does not need this record. */
export function tryToNote(run: Run, step: StepName, message: string): void {
  try {
    run.journal.append({ type: 'step-failed', step, message });
  } catch {
    // Told to the operator in any case.
  }
}

/** A way back that cannot be written down could not be gone on with after a crash: a new process decides by the disk. */
export function stoppedByTheDisk(error: unknown, step: StepName): NotRestoredError {
  return new NotRestoredError(
    `${step}: ${messageOf(error)}; nothing more was done, since nothing more could be written down`,
    { next: 'look at the disk (dmesg), then ./run.sh recover', cause: error },
  );
}

/** Both causes: why the run failed, and why the way back did. */
export function bothErrors(error: unknown, step: StepName, restoreError: unknown): NotRestoredError {
  const next = restoreError instanceof HoldfastError ? restoreError.next : undefined;
  return new NotRestoredError(`${step}: ${messageOf(error)}\nand then: ${messageOf(restoreError)}`, {
    next: next ?? './run.sh recover goes on where this stopped',
    cause: new AggregateError([error, restoreError], 'the run and its restore failed'),
  });
}

/** What helps when the snapshot of an open run is damaged: a whole copy of it, or another one by hand. */
export async function insteadOfDamaged(backupsDirectory: string, id: string): Promise<string> {
  const folder = join(backupsDirectory, id);
  const other = await findWhole(listSnapshots(backupsDirectory).filter((one) => one.id !== id));
  const byHand = other
    ? `or go back to ${other.id} by ${join(other.folder, 'RESTORE.md')}`
    : 'there is no other good snapshot here';
  return `put a whole copy of it in the place of ${folder} (tar --extract of an exported archive), then ./run.sh recover; ${byHand}`;
}
