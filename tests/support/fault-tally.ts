import type { TestContext } from 'vitest';

/**
 * What became of the appliance after a fault: nothing had changed yet; all came back; the new version stands whole.
 * What is none of these is lost, and its test has failed.
 */
export const faultOutcomes = ['unchanged', 'restored', 'completed'] as const;
export type FaultOutcome = (typeof faultOutcomes)[number];

declare module 'vitest' {
  interface TaskMeta {
    faults?: Partial<Record<FaultOutcome, number>>;
  }
}

/** Counts a fault that the appliance came through. To be called when all has been compared, and not before. */
export function tally({ task }: Pick<TestContext, 'task'>, outcome: FaultOutcome, count = 1): void {
  const faults = (task.meta.faults ??= {});
  faults[outcome] = (faults[outcome] ?? 0) + count;
}
