import { insideRun, type Appliance } from '../appliance/appliance.ts';
import { closeGate, type Gate } from '../appliance/gate.ts';
import { runHooks } from '../hooks/run-hooks.ts';
import { HoldfastError, InterruptedError, messageOf, NotRestoredError } from '../lib/errors.ts';
import type { Signals } from '../lib/signals.ts';
import { SnapshotDraft } from '../snapshot/draft.ts';
import { releaseReserves } from '../snapshot/reserve.ts';
import type { SnapshotKind } from '../snapshot/manifest.ts';
import { applyAfterCommit } from './after-commit.ts';
import type { Driver, Listener } from './events.ts';
import { bothErrors, stoppedByTheDisk, tryToNote } from './failures.ts';
import {
  answeredBefore,
  outcomeWhenDone,
  phaseOf,
  type RunKind,
  type RunOutcome,
  type StepName,
} from './journal-entries.ts';
import { recoverRun, type RecoveryReport } from './recovery.ts';
import { openToAll, startAndVerify, startWorkers } from './starting.ts';
import { beginRun, finishRun, type Run } from './run.ts';
import { LockLostError } from './run-lock.ts';
import type { Migrating, Origin, Restoring, Step, StepContext, Target } from './step.ts';
import { tasksOf, type Clock } from './tasks.ts';

export interface RunRequest {
  readonly appliance: Appliance;
  readonly kind: RunKind;
  readonly steps: readonly Step[];
  /** After the commit and with the appliance open to all: what fails of it is a warning. */
  readonly afterCommit?: readonly Step[];
  readonly origin: Origin;
  readonly target: Target;
  readonly id: string;
  readonly sequence: number;
  readonly snapshot: { readonly kind: SnapshotKind; readonly name?: string | undefined };
  readonly restoring?: Restoring;
  readonly withoutSafety?: boolean;
  readonly allowDestructive?: boolean;
  readonly migrate?: boolean;
  readonly migrating?: Migrating;
  readonly driver: Driver;
  readonly listener: Listener;
  readonly signals: Signals;
  /** What happens after the run's last decision: pruning and the like. A failure is a warning. */
  readonly cleanUp: (context: { appliance: Appliance; run: Run; end: 'done' | 'restored' }) => Promise<void>;
}

/** How a run ended, as the operator and `--json` are told. */
export interface RunResult {
  readonly run: string;
  readonly outcome: RunOutcome;
  readonly failedStep?: StepName;
  readonly error?: unknown;
  readonly recovery?: RecoveryReport;
  /** From the stop of the services until a version answered again; 0 if they never stopped. */
  readonly outageMs: number;
  readonly totalMs: number;
  readonly warnings: readonly string[];
}

/**
 * Runs a run to one of its ends: done as a whole, or everything as it was. Whatever fails before the window leaves
 * nothing to restore; whatever fails after it opened, of whatever kind, is recovered; after the commit nothing is.
 * The one exception is a journal that the disk lost: then this process stops where it is, and a new one recovers.
 *
 * @throws NotRestoredError if the way back could not be walked; everything else is told in the result
 */
export async function executeRun(request: RunRequest): Promise<RunResult> {
  const { kind, origin, target, listener, signals } = request;
  const begunAt = performance.now();
  const run = beginRun(request.appliance, kind, origin, target, {
    id: request.id,
    sequence: request.sequence,
    ...(request.restoring ? { snapshot: request.restoring.manifest.id } : {}),
  });
  listener({ type: 'run', run: run.id, kind, from: origin.label, to: target.label });
  const appliance = insideRun(request.appliance, run.id, signals.abort.signal);
  // What comes after the last decision is stopped by no signal, but ended by recovery like the rest: a dump, say.
  const afterwards = insideRun(request.appliance, run.id);
  const clock: Clock = { closedAt: 0, outageMs: 0, step: 'preflight' };
  const warnings: string[] = [];
  const warn = (message: string) => {
    warnings.push(message);
    listener({ type: 'warning', message });
  };
  const context = makeContext(request, appliance, run, warn);
  const close = (outcome: RunOutcome, more: Partial<RunResult> = {}): RunResult => ({
    run: run.id,
    outcome,
    outageMs: clock.outageMs,
    totalMs: performance.now() - begunAt,
    warnings,
    ...more,
  });
  const end = (outcome: RunOutcome, more: Partial<RunResult> = {}): RunResult => {
    const failed = more.failedStep === undefined ? {} : { failedStep: more.failedStep };
    try {
      finishRun(request.appliance, run, { outcome, ...failed, outageMs: Math.round(clock.outageMs) });
    } catch (error) {
      // The appliance is what the outcome says; only that the run is closed could not be written. The next command does.
      warn(`the end of the run could not be written down: ${messageOf(error)}`);
    }
    return close(outcome, more);
  };
  try {
    await request.driver.drive(tasksOf(request, context, run, clock));
    if (kind === 'backup') {
      signals.shield();
      releaseReserves(request.appliance, run.id);
      await startAgain(request.appliance, run);
      clock.outageMs = performance.now() - clock.closedAt;
      await tryAfterwards(
        warn,
        async () => await request.cleanUp({ appliance: afterwards, run, end: 'done' }),
      );
      return end('backed-up');
    }
  } catch (thrown) {
    // What was stopped tells it in its own words: room that could not be set aside, a way back that was not proven.
    const { aborted, reason } = signals.abort.signal as { aborted: boolean; reason: unknown };
    const error = aborted ? reason : thrown;
    const phase = phaseOf(run.journal.records);
    if (phase === 'committed') {
      // The commit stands, whatever came after it.
      warn(messageOf(error));
    } else if (error instanceof LockLostError && !error.isHeldAgain) {
      // Whoever has the lock recovers this run first; to do the same beside it would break both.
      throw new NotRestoredError(`${clock.step}: ${messageOf(error)}`, {
        next: './run.sh status --follow shows what became of it',
        cause: error,
      });
    } else if (run.journal.isLost && phase !== 'prepared') {
      throw stoppedByTheDisk(error, clock.step);
    } else {
      signals.shield();
      const failedStep = clock.step;
      tryToNote(run, failedStep, request.appliance.secrets.mask(messageOf(error)));
      const opened = phase !== 'prepared';
      let recovery: RecoveryReport;
      try {
        recovery = await recoverRun(afterwards, run, messageOf(error), (event) =>
          event.type === 'warning' ? warn(event.message) : listener(event),
        );
      } catch (restoreError) {
        throw bothErrors(error, failedStep, restoreError);
      }
      clock.outageMs = opened ? performance.now() - clock.closedAt : 0;
      if (opened)
        await tryAfterwards(
          warn,
          async () => await request.cleanUp({ appliance: afterwards, run, end: 'restored' }),
        );
      const outcome: RunOutcome = opened
        ? 'restored'
        : error instanceof InterruptedError
          ? 'interrupted'
          : error instanceof HoldfastError
            ? 'refused'
            : 'failed-unchanged';
      return end(outcome, { failedStep, error, recovery });
    }
  }
  signals.shield();
  clock.outageMs = performance.now() - clock.closedAt;
  try {
    // Nothing goes back any more, and to open the fence on a full disk takes a few bytes.
    releaseReserves(request.appliance, run.id);
    await openToAll(afterwards, target.config);
  } catch (error) {
    // The run stays open: the next command, whatever it is, opens fence and gate first.
    warn(`the new version runs, but is not open to all yet: ${messageOf(error)}. Next: ./run.sh recover`);
    return close(outcomeWhenDone[kind]);
  }
  if (request.migrating?.leaveStopped !== true)
    await tryAfterwards(warn, async () => await startWorkers(request.appliance, target));
  await tryAfterwards(
    warn,
    async () => await runHooks(context, { when: 'after', point: 'commit', reach: 'outside' }),
  );
  await tryAfterwards(warn, async () => await applyAfterCommit(request, context, run, clock));
  await tryAfterwards(warn, async () => await request.cleanUp({ appliance: afterwards, run, end: 'done' }));
  return end(outcomeWhenDone[kind]);
}

function makeContext(
  request: RunRequest,
  appliance: Appliance,
  run: Run,
  warn: (message: string) => void,
): StepContext {
  let gate: Gate | undefined;
  return {
    appliance,
    kind: request.kind,
    runId: run.id,
    runFolder: run.folder,
    journal: run.journal,
    origin: request.origin,
    target: request.target,
    draft: new SnapshotDraft(appliance, run.id, {
      ...request.snapshot,
      sequence: request.sequence,
      online: false,
      ...(request.restoring ? { former: request.restoring.manifest.roots } : {}),
    }),
    ...(request.restoring ? { restoring: request.restoring } : {}),
    withoutSafety: request.withoutSafety === true,
    allowDestructive: request.allowDestructive === true,
    migrate: request.migrate === true,
    ...(request.migrating ? { migrating: request.migrating } : {}),
    gate: () => (gate ??= closeGate(appliance, run.id)),
    signal: request.signals.abort.signal,
    note: () => {},
    output: (line) => request.listener({ type: 'output', line }),
    warn,
  };
}

/** After a backup the same version starts again. */
async function startAgain(appliance: Appliance, run: Run): Promise<void> {
  await openToAll(appliance);
  const only = new Set(run.journal.last('window-opened')?.services ?? []);
  const { from: commit, fromLabel: label } = run.started;
  const answered = answeredBefore(run.journal.records);
  await startAndVerify(appliance, appliance.config, { commit, label }, { only, answered });
}

/** After the commit (or the backup) nothing can trigger a restore: what fails is told. */
async function tryAfterwards(warn: (message: string) => void, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    warn(messageOf(error));
  }
}
