import type { StateDirectory } from '../appliance/state.ts';
import { messageOf, NotRestoredError } from '../lib/errors.ts';

/**
 * A run that is marked as unfinished and cannot be read: what it did is not known, so nothing is done. A machine cannot
 * tell whether the appliance is whole, a person can.
 */
export function damagedRun(
  state: StateDirectory,
  run: string,
  why: string,
  cause?: unknown,
): NotRestoredError {
  const who = run === '' ? `${state.unfinished} names no run` : `the run ${run} is unfinished, but ${why}`;
  return new NotRestoredError(`${who}. What it did cannot be known, and nothing was touched`, {
    next: `put ${run === '' ? state.runs : state.run(run)} back from a copy, then ./run.sh recover; without one bring the appliance back by hand as RESTORE.md in the newest snapshot says, then rm '${state.unfinished}'`,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Any error of a recovery: the appliance is not whole, whatever it was. Never an internal error, which says "unchanged". */
export function recoveryFailed(run: string, error: unknown): NotRestoredError {
  if (error instanceof NotRestoredError) return error;
  return new NotRestoredError(`the recovery of run ${run} failed: ${messageOf(error)}`, {
    next: './run.sh recover goes on where this stopped; ./run.sh logs shows more',
    cause: error,
  });
}
