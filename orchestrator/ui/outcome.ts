import { exitCodes, HoldfastError, InterruptedError, messageOf } from '../lib/errors.ts';
import { formatDuration } from '../lib/units.ts';
import type { ResultEvent } from '../pipeline/events.ts';
import type { RunPhase } from '../pipeline/journal-entries.ts';
import type { RunResult } from '../pipeline/pipeline.ts';
import type { Origin, Target } from '../pipeline/step.ts';
import { updateCommand } from '../pipeline/update-command.ts';
import type { Paint } from './ui.ts';

/** The exit code that says what state the appliance is in after a run. */
export function exitCodeOf({ outcome, error }: RunResult): number {
  switch (outcome) {
    case 'updated':
    case 'rolled-back':
    case 'migrated':
    case 'backed-up':
      return exitCodes.ok;
    case 'restored':
      return exitCodes.restored;
    case 'not-restored':
      return exitCodes.notRestored;
    case 'interrupted':
    case 'refused':
      return error instanceof HoldfastError ? error.exitCode : exitCodes.refused;
    case 'failed-unchanged':
      return exitCodes.internal;
  }
}

/** The result for `--json`. */
export function resultEvent(
  result: RunResult,
  origin: Origin,
  target: Target,
  more: Record<string, unknown> = {},
): ResultEvent {
  const exitCode = exitCodeOf(result);
  return {
    type: 'result',
    ok: exitCode === exitCodes.ok,
    exitCode,
    outcome: result.outcome,
    run: result.run,
    from: origin.commit,
    to: target.commit,
    ...(result.failedStep === undefined ? {} : { failedStep: result.failedStep }),
    ...(result.error === undefined ? {} : { error: messageOf(result.error) }),
    ...(result.error instanceof HoldfastError && result.error.next !== undefined
      ? { next: result.error.next }
      : {}),
    ...(result.outcome === 'restored' ? comparison(result.recovery?.compared ?? '') : {}),
    totalMs: Math.round(result.totalMs),
    outageMs: Math.round(result.outageMs),
    warnings: result.warnings,
    ...more,
  };
}

const comparison = (compared: string) => ({
  identical: compared !== '',
  ...(compared === '' ? {} : { compared }),
});

/** What may be said after a restore, which brings back what the snapshot holds. */
export function describeLoss(gone: readonly string[] = []): string {
  return gone.length === 0
    ? 'No data was lost.'
    : `The appliance's own data are as before, but of the server's other databases, which no snapshot holds, these are gone: ${gone.join(', ')}.`;
}

/** How a run ended, for somebody tired. Why it failed was said when it failed. */
export function describeOutcome(result: RunResult, origin: Origin, target: Target, paint: Paint): string {
  const offline =
    result.outageMs > 0
      ? `Offline ${formatDuration(result.outageMs)}, ${formatDuration(result.totalMs)} in all.`
      : `${formatDuration(result.totalMs)} in all.`;
  const next = (text: string) => `  ${paint.bold('Next:')} ${text}`;
  switch (result.outcome) {
    case 'updated':
      return `${paint.green('UPDATED')} to ${target.label} (was ${origin.label}). ${offline}\n  Back:  ./run.sh rollback`;
    case 'rolled-back':
      return `${paint.green('ROLLED BACK')} to ${target.label} (was ${origin.label}). ${offline}\n  Undo:  ./run.sh rollback --undo`;
    case 'migrated':
      return `${paint.green('MIGRATED')} ${target.label}. ${offline}\n  Back:  ./run.sh rollback ${result.run}`;
    case 'backed-up':
      return `${paint.green('BACKED UP')} as ${result.run}. ${offline}\n  Back:  ./run.sh rollback ${result.run}`;
    case 'restored': {
      const { compared = '', restoreMs = 0 } = result.recovery ?? {};
      const how =
        compared === ''
          ? 'Nothing had been changed yet.'
          : `Restored the snapshot in ${formatDuration(restoreMs)}.\n  compared: ${compared}. ${origin.label} answers.`;
      const advice =
        result.error instanceof InterruptedError
          ? `${updateCommand(target)}, whenever it suits you.`
          : 'nothing to do now; send that log to the vendor. Retrying fails the same way.';
      return `${how}\n${paint.green(`RESTORED to ${origin.label}.`)} ${describeLoss(result.recovery?.gone)} ${offline}\n  ${paint.bold('Why:')}  ./run.sh logs ${result.run}\n${next(advice)}`;
    }
    case 'not-restored':
      return `${paint.red('NOT RESTORED.')} The services stay down.\n${next('./run.sh recover')}`;
    case 'refused':
    case 'interrupted':
    case 'failed-unchanged': {
      const advice =
        result.error instanceof HoldfastError ? result.error.next : `./run.sh logs ${result.run} shows more`;
      return `Nothing was changed, and nothing was stopped.${advice === undefined ? '' : `\n${next(advice)}`}`;
    }
  }
}

/** What is so, and where the data is, after a run that could not be brought to one of its ends. */
const standing: Readonly<Record<RunPhase, readonly [string, string]>> = {
  prepared: ['NOT FINISHED.', 'Nothing was changed.'],
  window: [
    'NOT STARTED AGAIN.',
    'The services stay down; nothing had been changed yet, and the data is where it was.',
  ],
  sealed: ['NOT RESTORED.', 'The services stay down; the data is safe in the snapshot.'],
  restored: ['RESTORED, BUT NOT STARTED.', 'Everything is as it was before; the services stay down.'],
  committed: ['NOT STARTED.', 'The new version is in place, and nothing will be restored.'],
  finished: ['NOT CLOSED.', 'The run had come to its end.'],
};

/**
 * Exit 11, for somebody frightened: what is so, what is safe, what to type.
 *
 * @param phase how far the run came: before the seal no snapshot holds anything, and after it the data is in one
 */
export function describeNotRestored(
  message: string,
  { id: run, phase }: { readonly id: string; readonly phase: RunPhase },
  next: string,
  paint: Paint,
): string {
  const [headline, safe] = standing[phase];
  return [
    `${paint.red(headline)} ${safe}`,
    `  ${message.replaceAll('\n', '\n  ')}`,
    `  ${paint.bold('Why:')}  ./run.sh logs ${run}`,
    `  ${paint.bold('Next:')} ${next}`,
  ].join('\n');
}
