import type { Catalog } from './catalog.ts';
import { entryOf, reconcile } from './reconcile.ts';
import { readRegistry, writeRegistry } from './registry-file.ts';
import type { Entry } from './registry.ts';
import type { State } from './states.ts';
import type { Change, Row, Store } from './store.ts';

/** Table and registry as one; only for whoever holds the advisory lock. */
export interface Record {
  readonly states: ReadonlyMap<string, State>;
  readonly rows: readonly Row[];
  readonly warnings: readonly string[];
  /** Writes a state to the table, then to the file. `afresh`: its batches begin anew. */
  set(id: string, change: Change, how?: { readonly afresh?: boolean }): Promise<void>;
  /** Brings the file to what the table says, durably, and only then says so in the table. */
  export(): Promise<void>;
}

/**
 * Brings the two together and writes down what that comes to.
 *
 * @throws Refusal for a registry that cannot be gone by, and where the tables cannot be made.
 */
export async function createRecord(store: Store, { registryFile }: Catalog): Promise<Record> {
  const before = await store.readRows();
  const registry = await readRegistry(registryFile);
  const { states, toStore, toForget, warnings } = reconcile(registry, before);
  // Whole or not at all: half of a registry taken over would be the whole of it to the next run.
  await store.inTransaction(async () => {
    await store.createTables(before === undefined && (registry?.migrations.length ?? 0) === 0);
    for (const { id, state, entry } of toStore)
      await store.saveState(id, {
        state,
        ...(entry
          ? { finishedAt: new Date(entry.appliedAt), durationMs: Math.round(entry.executionTimeMs) }
          : {}),
      });
    for (const id of toForget) await store.forgetBatches(id);
  });

  const exportAll = async (): Promise<void> => {
    const rows = (await store.readRows()) ?? [];
    const entries = rows.flatMap((row) => entryOf(row) ?? []).toSorted(byTime);
    const there = await readRegistry(registryFile);
    const isNew = there === undefined && entries.length === 0;
    if (!isNew && JSON.stringify(there?.migrations) !== JSON.stringify(entries))
      await writeRegistry(registryFile, { migrations: entries });
    await store.markExported(rows.map(({ id }) => id));
  };
  await exportAll();
  return {
    states,
    rows: (await store.readRows()) ?? [],
    warnings,
    async set(id, change, how) {
      await store.inTransaction(async () => {
        if (how?.afresh === true) await store.forgetBatches(id);
        await store.saveState(id, change);
      });
      await exportAll();
    },
    export: exportAll,
  };
}

function byTime(a: Entry, b: Entry): number {
  return a.appliedAt < b.appliedAt ? -1 : a.appliedAt > b.appliedAt ? 1 : a.id < b.id ? -1 : 1;
}
