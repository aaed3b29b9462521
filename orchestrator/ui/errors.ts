import { HoldfastError, isDiskFull, messageOf } from '../lib/errors.ts';
import { CommandError } from '../runtime/runtime.ts';
import type { Paint } from './ui.ts';

/** An error as the operator reads it: what, why, next. Stack traces only when asked for, or for a bug. */
export function describeError(error: unknown, options: { verbose: boolean; paint: Paint }): string {
  const { paint, verbose } = options;
  const lines = [`${paint.red('✖')} ${messageOf(error)}`];
  if (error instanceof HoldfastError) {
    if (error.next !== undefined) lines.push(`  ${paint.bold('Next:')} ${error.next}`);
  } else if (isDiskFull(error)) {
    lines.push(
      `  ${paint.bold('Next:')} make room (df -h and df -i show where it is missing), then try again`,
    );
  } else if (!(error instanceof CommandError)) {
    lines.push('  This is a bug in Holdfast. Please report it with the lines above; --verbose shows more.');
  }
  if (verbose) lines.push(...causes(error).map((cause) => paint.dim(cause)));
  return lines.join('\n');
}

function causes(error: unknown): string[] {
  const found: string[] = [];
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    found.push(at.stack ?? messageOf(at));
    if (at instanceof AggregateError) found.push(...at.errors.flatMap(causes));
  }
  return found;
}
