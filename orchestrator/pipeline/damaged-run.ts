import type { StateDirectory } from '../appliance/state.ts';
import { type HoldfastError, messageOf, NotRestoredError, Refusal } from '../lib/errors.ts';

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
export function recoveryFailed(run: string, error: unknown): HoldfastError {
  if (error instanceof NotRestoredError || error instanceof CopiedRunError) return error;
  const fix = error instanceof Refusal && error.next !== undefined ? `${error.next}; then ` : '';
  return new NotRestoredError(`the recovery of run ${run} failed: ${messageOf(error)}`, {
    next: `${fix}./run.sh recover goes on where this stopped; ./run.sh logs shows more`,
    cause: error,
  });
}

/** A copied checkout brings the open run of its original along, whose services and database are not its own to touch. */
export class CopiedRunError extends Refusal {
  constructor(run: string, original: string) {
    super(
      `cannot recover the run ${run} here: it was begun with the state directory ${original}, and this is a copy of that, or was moved. Nothing was touched`,
      'recover it there, or move it back; to use a copy by itself, rm its .holdfast/unfinished and .git/holdfast-open-run',
    );
  }
}
