import { Refusal } from '../lib/errors.ts';
import { formatCount, formatDuration } from '../lib/units.ts';
import { migratesByItself } from '../pipeline/own-migrations.ts';
import type { Rehearsed, RehearsalReport } from '../pipeline/rehearsal.ts';
import { refusalOfLoss } from '../pipeline/schema-gate.ts';
import type { Target } from '../pipeline/step.ts';
import { toOption, updateCommand } from '../pipeline/update-command.ts';
import type { Linted } from '../schema-migrations/lint/lint.ts';
import type { Paint } from '../ui/ui.ts';

/** What was tried, and what was found in the text of it. */
export type Rehearsal = RehearsalReport & { readonly linted: readonly Linted[] };

/** What was tried and how it went, for people. */
export function describeReport(
  { ok, migrations, restoreMs, linted }: Rehearsal,
  target: Target,
  estimateMs: number | undefined,
  paint: Paint,
): string {
  const refusal = migratesByItself(target.config) ? refusalOfLoss(linted, target) : undefined;
  const failed = migrations.find(({ error }) => error !== undefined);
  return [
    ...migrations.map((one) => describeRehearsed(one, paint)),
    ...(migrations.length === 0 ? ['  There is no migration to try.'] : []),
    ...(ok
      ? [
          `${paint.green('✔')} ${target.label} came through on a copy that was restored in ${formatDuration(restoreMs)}.`,
          estimateMs === undefined
            ? '  How long the appliance will be away is not known yet: no update was measured here.'
            : `  An update will keep it away for about ${formatDuration(estimateMs)}.`,
          ...(refusal ? [`  ${paint.yellow('!')} An update would be refused: ${refusal.message}.`] : []),
          `  ${paint.bold('Next:')} ${refusal?.next ?? updateCommand(target)}`,
        ]
      : [
          `${paint.red('✖')} ${target.label} would not come through: ${failed?.name ?? ''}. Nothing was stopped or changed.`,
          `  ${paint.bold('Next:')} send these lines to the vendor; an update would fail there, and be restored`,
        ]),
  ].join('\n');
}

function describeRehearsed({ name, ms, locks, rows, error }: Rehearsed, paint: Paint): string {
  const touched = rows.map((one) => `${formatCount(one.rows)} of ${one.table}`).join(', ');
  const held = locks.map(
    (one) => `${one.table} no ${one.blocks === 'read' ? 'reading' : 'writing'} for ${formatDuration(one.ms)}`,
  );
  return [
    `  ${error === undefined ? paint.green('✔') : paint.red('✖')} ${name} ${paint.dim(formatDuration(ms))}`,
    ...(touched === '' ? [] : [`      rows: ${touched}`]),
    ...(held.length === 0 ? [] : [`      locks: ${held.join(', ')}`]),
    ...(error === undefined ? [] : [`      ${error.replaceAll('\n', '\n      ')}`]),
  ].join('\n');
}

/** What `update --rehearse` refuses with. */
export function verifyRehearsed({ ok, migrations }: RehearsalReport, target: Target): void {
  if (ok) return;
  const failed = migrations.find(({ error }) => error !== undefined);
  throw new Refusal(
    `cannot update to ${target.label}: ${failed?.name ?? ''} failed in the rehearsal: ${failed?.error ?? ''}`,
    `./run.sh rehearse${toOption(target)} shows all of it; send it to the vendor. Nothing was stopped or changed`,
  );
}
