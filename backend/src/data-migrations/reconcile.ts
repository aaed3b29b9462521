import { EXIT, Refusal } from './refusal.ts';
import type { Entry, Registry, Status } from './registry.ts';
import { isDone, type State } from './states.ts';
import type { Row } from './store.ts';

/*
 * registry.json is what the operator sees and may edit; the table is what a crash cannot tear. This is what holds where
 * they disagree. A row's `exportedAt` says whether the file was seen to hold it: without that, a line that is missing was
 * never written; with it, somebody took the line out.
 */

/** What the two come to, together. */
export interface Reconciled {
  readonly states: ReadonlyMap<string, State>;
  /** Rows that the table must get before anything runs. */
  readonly toStore: readonly { readonly id: string; readonly state: State; readonly entry?: Entry }[];
  /** Migrations that start afresh: what their batches remember is void. */
  readonly toForget: readonly string[];
  /** The entries that the file must hold; undefined where it holds them already. */
  readonly toWrite: readonly Entry[] | undefined;
  readonly warnings: readonly string[];
}

const STATE_OF: Readonly<Record<Status, State>> = {
  success: 'COMPLETED',
  'not-needed': 'NOT_NEEDED',
  skipped: 'SKIPPED',
  failed: 'FAILED',
};

const STATUS_OF: Readonly<Partial<Record<State, Status>>> = {
  COMPLETED: 'success',
  NOT_NEEDED: 'not-needed',
  SKIPPED: 'skipped',
  FAILED: 'failed',
};

/** The line of the registry for a row; undefined for one that has no outcome. */
export function entryOf(row: Pick<Row, 'id' | 'state' | 'finishedAt' | 'durationMs'>): Entry | undefined {
  const status = STATUS_OF[row.state];
  if (status === undefined) return undefined;
  return {
    id: row.id,
    appliedAt: (row.finishedAt ?? new Date(0)).toISOString(),
    executionTimeMs: row.durationMs ?? 0,
    status,
  };
}

/**
 * @param registry undefined when there is no file
 * @param rows undefined when there is no table: what the file says is then taken over as it is
 * @throws Refusal (exit 2) for an empty list where the database knows better.
 */
export function reconcile(registry: Registry | undefined, rows: readonly Row[] | undefined): Reconciled {
  if (rows === undefined) return adopt(registry ?? { migrations: [] });
  const applied = rows.filter(({ state }) => isDone(state));
  if (registry === undefined) return rebuild(rows, applied.length);
  if (registry.migrations.length === 0 && applied.some(({ exportedAt }) => exportedAt !== null))
    throw new Refusal(
      EXIT.refused,
      `cannot go by registry.json: it is empty, and the database knows ${applied.length} data migrations that were applied. Nothing was run. Bring it back from a backup, or delete it to have it rebuilt from the database`,
    );
  return compare(registry, rows);
}

/** An appliance that comes from an engine without a table. */
function adopt({ migrations }: Registry): Reconciled {
  const toStore = migrations.map((entry) => ({ id: entry.id, state: STATE_OF[entry.status], entry }));
  return {
    states: new Map(toStore.map(({ id, state }) => [id, state])),
    toStore,
    toForget: [],
    toWrite: undefined,
    warnings: [],
  };
}

function rebuild(rows: readonly Row[], applied: number): Reconciled {
  return {
    states: new Map(rows.map(({ id, state }) => [id, state])),
    toStore: [],
    toForget: [],
    toWrite: rows.flatMap((row) => entryOf(row) ?? []),
    warnings:
      applied === 0
        ? []
        : [`registry.json is missing; it is rebuilt from the database, which knows ${applied} as applied`],
  };
}

function compare({ migrations }: Registry, rows: readonly Row[]): Reconciled {
  const states = new Map<string, State>();
  const toStore: { id: string; state: State; entry?: Entry }[] = [];
  const toForget: string[] = [];
  const entries: Entry[] = [];
  const warnings: string[] = [];
  const byId = new Map(migrations.map((entry) => [entry.id, entry]));
  for (const row of rows) {
    const entry = byId.get(row.id);
    const own = entryOf(row);
    if (own === undefined && entry !== undefined && row.exportedAt !== null && row.state === 'PENDING') {
      states.set(row.id, STATE_OF[entry.status]);
      toStore.push({ id: row.id, state: STATE_OF[entry.status], entry });
      entries.push(entry);
      warnings.push(`${row.id} was put back into registry.json by hand: it counts as ${entry.status}`);
    } else if (own === undefined) {
      // Pending or interrupted: a line of the file would be of an earlier time.
      states.set(row.id, row.state);
    } else if (entry === undefined && row.exportedAt !== null) {
      states.set(row.id, 'PENDING');
      toStore.push({ id: row.id, state: 'PENDING' });
      toForget.push(row.id);
      warnings.push(`${row.id} was taken out of registry.json: it is pending again, and starts afresh`);
    } else if (entry !== undefined && row.exportedAt !== null && entry.status !== own.status) {
      states.set(row.id, STATE_OF[entry.status]);
      toStore.push({ id: row.id, state: STATE_OF[entry.status], entry });
      entries.push(entry);
      warnings.push(`${row.id} was changed by hand in registry.json, from ${own.status} to ${entry.status}`);
    } else {
      states.set(row.id, row.state);
      entries.push(entry?.status === own.status ? entry : own);
    }
  }
  const known = new Set(rows.map(({ id }) => id));
  for (const { id, status } of migrations) {
    if (known.has(id)) continue;
    states.set(id, 'PENDING');
    if (status === 'failed') continue;
    warnings.push(
      `${id} is in registry.json, and this database knows nothing of it (was another one restored?): it is pending`,
    );
  }
  const isSame = JSON.stringify(entries) === JSON.stringify(inOrderOf(entries, migrations));
  return { states, toStore, toForget, toWrite: isSame ? undefined : entries, warnings };
}

/** The file's own lines, in our order: an order that an operator chose is no difference. */
function inOrderOf(wanted: readonly Entry[], there: readonly Entry[]): readonly Entry[] {
  if (wanted.length !== there.length) return there;
  const byId = new Map(there.map((entry) => [entry.id, entry]));
  return wanted.flatMap(({ id }) => byId.get(id) ?? []);
}
