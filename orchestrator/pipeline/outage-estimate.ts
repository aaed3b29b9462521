import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { tryReadJournal } from './journal.ts';

/**
 * How long an update will keep the appliance away, in milliseconds: as long as the last one did here, with these
 * migrations in the place of those. Undefined where none was measured yet.
 */
export function estimateOutage(
  { state }: Pick<Appliance, 'state'>,
  migrations: readonly { readonly ms: number }[],
): number | undefined {
  for (const run of state.runIds().toReversed()) {
    const records = tryReadJournal(join(state.run(run), 'journal.ndjson')) ?? [];
    const finished = records.findLast((record) => record.type === 'finished');
    if (finished?.type !== 'finished' || finished.outcome !== 'updated') continue;
    const { outageMs } = finished;
    if (outageMs === undefined || outageMs === 0) continue;
    const migrating = records.flatMap((record) =>
      record.type === 'step-finished' &&
      record.half === 'apply' &&
      (record.step === 'migrate-schema' || record.step === 'migrate-data')
        ? [record.ms]
        : [],
    );
    const sum = (some: readonly number[]) => some.reduce((total, ms) => total + ms, 0);
    return Math.max(0, outageMs - sum(migrating)) + sum(migrations.map(({ ms }) => ms));
  }
  return undefined;
}
