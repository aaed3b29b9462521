import { runningServices } from '../appliance/services.ts';
import { runHooks } from '../hooks/run-hooks.ts';
import { messageOf } from '../lib/errors.ts';
import type { Signals } from '../lib/signals.ts';
import type { DriverTask, Listener } from './events.ts';
import type { StepName } from './journal-entries.ts';
import type { RunRequest } from './pipeline.ts';
import type { Run } from './run.ts';
import { titleOf, type Step, type StepContext } from './step.ts';

/** Where a run is, for the one who has to tell how it ended. */
export interface Clock {
  closedAt: number;
  outageMs: number;
  step: StepName;
}

function prepareTasks(
  { steps, listener, signals, target }: RunRequest,
  context: StepContext,
  run: Run,
  clock: Clock,
): DriverTask[] {
  return steps.flatMap((step) => {
    const { prepare } = step;
    if (!prepare) return [];
    const task: DriverTask = {
      title: titleOf(step, 'prepare', target.config),
      run: async (show) =>
        await runHalf(step, 'prepare', prepare, context, { run, clock, listener, signals, show }),
    };
    return [task];
  });
}

function applyTasks(request: RunRequest, context: StepContext, run: Run, clock: Clock): DriverTask[] {
  const { steps, listener, signals, appliance, target } = request;
  let opened = false;
  return steps.flatMap((step) => {
    const { apply } = step;
    if (!apply) return [];
    const task: DriverTask = {
      title: titleOf(step, 'apply', target.config),
      run: async (show) => {
        if (!opened) {
          opened = true;
          run.journal.append({ type: 'prepared' });
          clock.closedAt = performance.now();
          run.journal.append({
            type: 'window-opened',
            services: await runningServices(appliance, appliance.config),
          });
        }
        return await runHalf(step, 'apply', apply, context, { run, clock, listener, signals, show });
      },
    };
    return [task];
  });
}

/** One half of a step: announced in the journal, done, noted as done. Resolves to why it was skipped. */
async function runHalf(
  step: Step,
  half: 'prepare' | 'apply',
  work: (context: StepContext) => Promise<void>,
  context: StepContext,
  {
    run,
    clock,
    listener,
    signals,
    show,
    isCommitted = false,
  }: {
    run: Run;
    clock: Clock;
    listener: Listener;
    signals: Signals;
    show: (line: string) => void;
    isCommitted?: boolean;
  },
): Promise<string | undefined> {
  clock.step = step.name;
  const about = {
    type: 'step',
    step: step.name,
    half,
    title: titleOf(step, half, context.target.config),
  } as const;
  signals.abort.signal.throwIfAborted();
  const note = (message: string) => {
    show(message);
    listener({ type: 'note', message });
  };
  const skipped = (await step.skip?.({ ...context, note })) ?? false;
  if (skipped !== false) {
    listener({ ...about, state: 'skipped', message: skipped });
    return skipped;
  }
  run.journal.append({ type: 'step-started', step: step.name, half });
  listener({ ...about, state: 'started' });
  const startedAt = performance.now();
  // Around what a step does, which for a check alone is its preparation; after the commit they wait for the gate.
  const isHooked = half === (step.apply ? 'apply' : 'prepare');
  const hooks = { point: step.name, reach: half === 'apply' && !isCommitted ? 'window' : 'outside' } as const;
  try {
    if (isHooked) await runHooks({ ...context, note }, { when: 'before', ...hooks });
    await work({ ...context, note });
    // A step that ended well just as the signal came must not be followed by the next one.
    if (step.name !== 'commit') signals.abort.signal.throwIfAborted();
  } catch (error) {
    listener({
      ...about,
      state: 'failed',
      message: messageOf(error),
      ms: performance.now() - startedAt,
    });
    throw error;
  }
  const ms = Math.round(performance.now() - startedAt);
  run.journal.append({ type: 'step-finished', step: step.name, half, ms });
  listener({ ...about, state: 'finished', ms });
  if (isHooked && step.name !== 'commit') await runHooks({ ...context, note }, { when: 'after', ...hooks });
  return undefined;
}

/** What comes after the commit, with the appliance serving. */
export function afterCommitTasks(
  { afterCommit = [], listener, signals, target }: RunRequest,
  context: StepContext,
  run: Run,
  clock: Clock,
): DriverTask[] {
  return afterCommit.map((step) => ({
    title: titleOf(step, 'apply', target.config),
    run: async (show) =>
      await runHalf(step, 'apply', async (within) => await step.apply?.(within), context, {
        ...{ run, clock, listener, signals, show, isCommitted: true },
      }),
  }));
}

/** Everything that a run does, in order: every `prepare` while the appliance serves, then every `apply`. */
export function tasksOf(request: RunRequest, context: StepContext, run: Run, clock: Clock): DriverTask[] {
  return [...prepareTasks(request, context, run, clock), ...applyTasks(request, context, run, clock)];
}
