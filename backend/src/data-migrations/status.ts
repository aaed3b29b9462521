import type { MigrationFile } from './discovery.ts';
import { isApplied, type Registry } from './registry.ts';

/** Which migrations are done, which are to come and which went wrong; no id is in two lists. */
export interface Summary {
  readonly applied: readonly string[];
  readonly pending: readonly string[];
  readonly failed: readonly string[];
}

/** Compares the files with the registry. An applied migration whose file is gone stays in the list: it did happen. */
export function summarize(files: readonly MigrationFile[], registry: Registry): Summary {
  const applied = registry.migrations.filter(({ id }) => isApplied(registry, id)).map(({ id }) => id);
  const failed = registry.migrations.filter(({ status }) => status === 'failed').map(({ id }) => id);
  const known = new Set([...applied, ...failed]);
  return { applied, pending: files.map(({ id }) => id).filter((id) => !known.has(id)), failed };
}

/** The summary for people. */
export function formatSummary(summary: Summary): string {
  const lines = (['applied', 'pending', 'failed'] as const).flatMap((state) => [
    `${state}: ${summary[state].length}`,
    ...summary[state].map((id) => `  ${id}`),
  ]);
  return lines.join('\n');
}

/** The word for one migration in a list. */
export function statusOf(id: string, registry: Registry): string {
  return registry.migrations.find((entry) => entry.id === id)?.status ?? 'pending';
}
