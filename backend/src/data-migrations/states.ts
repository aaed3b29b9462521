import { EXIT, Refusal } from './refusal.ts';

/** What a data migration is on one appliance. */
export type State = 'PENDING' | 'RUNNING' | 'COMPLETED' | 'NOT_NEEDED' | 'FAILED' | 'SKIPPED';

/** What an operator, or the engine itself, does to a migration. */
export type Action =
  'start' | 'complete' | 'find-needless' | 'fail' | 'retry' | 'rerun' | 'skip' | 'take-back';

/** Every transition that there is: the state that an action leads to, by the state that it starts from. */
export const TRANSITIONS: Readonly<Record<State, Readonly<Partial<Record<Action, State>>>>> = {
  PENDING: { start: 'RUNNING', skip: 'SKIPPED' },
  RUNNING: {
    // A runner that was killed leaves it so; whoever holds the lock now starts it again.
    start: 'RUNNING',
    complete: 'COMPLETED',
    'find-needless': 'NOT_NEEDED',
    fail: 'FAILED',
    skip: 'SKIPPED',
    retry: 'PENDING',
  },
  COMPLETED: { rerun: 'PENDING', 'take-back': 'PENDING' },
  NOT_NEEDED: { rerun: 'PENDING' },
  FAILED: { start: 'RUNNING', retry: 'PENDING', rerun: 'PENDING', skip: 'SKIPPED', 'take-back': 'PENDING' },
  SKIPPED: { retry: 'PENDING', rerun: 'PENDING' },
};

/** Nothing is left to do in these. */
export function isDone(state: State): boolean {
  return state === 'COMPLETED' || state === 'NOT_NEEDED' || state === 'SKIPPED';
}

const INSTEAD: Readonly<Record<State, string>> = {
  PENDING: 'It is pending: run it with --only',
  RUNNING: 'It was interrupted: the next run goes on with it',
  COMPLETED: 'It is completed: --rerun runs it once more, --down takes it back',
  NOT_NEEDED: 'It was not needed here: --rerun looks again',
  FAILED: 'It failed: --retry goes on with it, --rerun starts it afresh, --skip leaves it out',
  SKIPPED:
    'It was skipped by hand: --retry puts it back, and its batches go on where they were; --rerun begins with the first row',
};

/**
 * The state after an action.
 *
 * @throws Refusal (exit 2) that says what can be done instead.
 */
export function transition(id: string, from: State, action: Action): State {
  const to = TRANSITIONS[from][action];
  if (to !== undefined) return to;
  throw new Refusal(
    EXIT.refused,
    `cannot ${action.replace('-', ' ')} ${id}: it is ${from}. Nothing was changed. ${INSTEAD[from]}`,
  );
}
