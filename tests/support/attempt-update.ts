import type { Ledger } from './ledger.ts';
import { differences } from './state.ts';

export interface Attempt {
  readonly exitCode: number;
  readonly error: string;
  /** What to type next. */
  readonly next: string | undefined;
  /** By the helper that compares all of an appliance; and whether a service was stopped on the way. */
  readonly changed: readonly string[];
}

/** Tries an update, and tells what changed by it: where it is refused nothing may, and no service may have been stopped. */
export async function attemptUpdate(ledger: Ledger, ...args: readonly string[]): Promise<Attempt> {
  const was = await ledger.capture();
  const pids = await ledger.pids();
  const { exitCode, error, next } = await ledger.run('update', ...args);
  const changed = differences(was, await ledger.capture());
  if (JSON.stringify(pids) !== JSON.stringify(await ledger.pids())) changed.push('services were restarted');
  return { exitCode, error, next, changed };
}
