import { exitCodes, HoldfastError, messageOf } from '../lib/errors.ts';
import type { RunRequest } from './pipeline.ts';
import type { Run } from './run.ts';
import type { StepContext } from './step.ts';
import { afterCommitTasks, type Clock } from './tasks.ts';

/**
 * What may take its time. A signal stops it, since nothing is in pieces then.
 *
 * @throws HoldfastError with the command that goes on with it
 */
export async function applyAfterCommit(
  request: RunRequest,
  context: StepContext,
  run: Run,
  clock: Clock,
): Promise<void> {
  const { afterCommit = [], signals } = request;
  if (afterCommit.length === 0) return;
  signals.unshield();
  try {
    await request.driver.drive(afterCommitTasks(request, context, run, clock));
  } catch (error) {
    const step = afterCommit.find(({ name }) => name === clock.step) ?? afterCommit[0];
    const next = (await step?.next?.(context)) ?? './run.sh status';
    throw new HoldfastError(
      `${messageOf(error)}\n${context.target.label} is installed and serves all the same. Next: ${next}`,
      { exitCode: exitCodes.ok, next, cause: error },
    );
  } finally {
    signals.shield();
  }
}
