import type { Client } from 'pg';
import { claimHome, verifyHome, wasAppliedBefore } from './home.ts';
import { createTables } from './record-tables.ts';
import type { State } from './states.ts';

/** One migration, as the database of this appliance knows it. */
export interface Row {
  readonly id: string;
  readonly state: State;
  /** SHA-256 of the file when it ran, line endings aside; null for what was taken over from a registry. */
  readonly checksum: string | null;
  readonly finishedAt: Date | null;
  readonly durationMs: number | null;
  readonly rows: number | null;
  readonly attempts: number;
  /** Why it failed, or why it was skipped. */
  readonly reason: string | null;
  /** When registry.json was seen to hold this row, durably; null while it may not. */
  readonly exportedAt: Date | null;
  /** Until when a running one counts as alive without another sign. */
  readonly leaseUntil: Date | null;
  /** Rows that its batches have been through so far. */
  readonly batched?: number;
}

/** What remembers the migrations of one database; the functions below say what each does. */
export interface Store {
  readRows(): Promise<Row[] | undefined>;
  /** @param isFirst no data migration was ever recorded here */
  createTables(isFirst: boolean): Promise<void>;
  /** True for a schema migration that was applied before any data migration could run. */
  wasAppliedBefore(name: string): Promise<boolean>;
  saveState(id: string, change: Change): Promise<void>;
  inTransaction<T>(work: () => Promise<T>): Promise<T>;
  extendLease(id: string): Promise<void>;
  markExported(ids: readonly string[]): Promise<void>;
  beginTakingBack(id: string): Promise<void>;
  isHalfTakenBack(id: string): Promise<boolean>;
  forgetBatches(id: string): Promise<void>;
}

/** The one of a PostgreSQL database. */
export function postgresStore(client: Client, url: string): Store {
  return {
    readRows: async () => await readRows(client, url),
    async createTables(isFirst) {
      await createTables(client);
      await claimHome(client, url, isFirst);
    },
    wasAppliedBefore: async (name) => await wasAppliedBefore(client, name),
    saveState: async (id, change) => await saveState(client, id, change),
    inTransaction: async (work) => await inTransaction(client, work),
    extendLease: async (id) => await extendLease(client, id),
    markExported: async (ids) => await markExported(client, ids),
    beginTakingBack: async (id) => await beginTakingBack(client, id),
    isHalfTakenBack: async (id) => await isHalfTakenBack(client, id),
    forgetBatches: async (id) => await forgetBatches(client, id),
  };
}

const COLUMNS = `id, state, checksum, finished_at AS "finishedAt", duration_ms::float8 AS "durationMs",
  rows::float8 AS rows, attempts, reason, exported_at AS "exportedAt", lease_until AS "leaseUntil",
  (SELECT coalesce(sum(done + failed), 0)::float8 FROM holdfast.data_migration_batches AS b WHERE b.migration = m.id) AS batched`;

/** How long a runner counts as alive without another sign, in seconds; it gives one three times in that. */
export const LEASE_SECONDS = 15;

/**
 * What this database remembers of its data migrations; undefined where it never ran any with this engine.
 *
 * @throws Refusal where they are another appliance's
 */
export async function readRows(client: Client, url: string): Promise<Row[] | undefined> {
  await verifyHome(client, url);
  const { rows: found } = await client.query<{ there: boolean }>(
    `SELECT to_regclass('holdfast.data_migrations') IS NOT NULL AS there`,
  );
  if (found[0]?.there !== true) return undefined;
  const { rows } = await client.query<Row>(
    `SELECT ${COLUMNS} FROM holdfast.data_migrations AS m ORDER BY id`,
  );
  return rows;
}

/** What changes in a row; what is not named stays. */
export interface Change {
  readonly state: State;
  readonly checksum?: string | null;
  readonly finishedAt?: Date | null;
  readonly durationMs?: number | null;
  readonly rows?: number | null;
  readonly reason?: string | null;
  readonly result?: unknown;
}

/** Over an earlier state, `m`: what is not said stays, and the registry is behind. */
export const ON_CONFLICT = `ON CONFLICT (id) DO UPDATE SET
  state = excluded.state,
  checksum = coalesce(excluded.checksum, m.checksum),
  started_at = coalesce(excluded.started_at, m.started_at),
  finished_at = excluded.finished_at,
  duration_ms = excluded.duration_ms,
  "rows" = excluded."rows",
  attempts = m.attempts + excluded.attempts,
  reason = excluded.reason,
  result = excluded.result,
  lease_until = excluded.lease_until,
  exported_at = NULL`;

/** Writes a state; from then on the registry's file counts as behind, until `markExported`. */
async function saveState(client: Client, id: string, change: Change): Promise<void> {
  const { state, checksum, finishedAt, durationMs, rows, reason, result } = change;
  const isStart = state === 'RUNNING';
  await client.query(
    `INSERT INTO holdfast.data_migrations AS m
       (id, state, checksum, started_at, finished_at, duration_ms, rows, attempts, reason, result, lease_until)
     VALUES ($1, $2, $3, CASE WHEN $9 THEN now() END, $4, $5, $6, CASE WHEN $9 THEN 1 ELSE 0 END, $7, $8,
       CASE WHEN $9 THEN now() + make_interval(secs => ${LEASE_SECONDS}) END)
     ${ON_CONFLICT}`,
    [
      id,
      state,
      checksum ?? null,
      finishedAt ?? null,
      durationMs ?? null,
      rows ?? null,
      typeof reason === 'string' ? storable(reason) : null,
      result === undefined ? null : storable(JSON.stringify(result)),
      isStart,
    ],
  );
}

/** Runs statements as one: all of them or none. */
async function inTransaction<T>(client: Client, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** Neither text nor jsonb takes a NUL or half a surrogate pair, as itself or as JSON escapes it. */
export function storable(text: string): string {
  return text
    .replaceAll('\0', '\uFFFD')
    .replaceAll(/(?<!\\)((?:\\\\)*)\\u(?:0000|d[89a-f][0-9a-f]{2})/gi, '$1\uFFFD')
    .toWellFormed();
}

/** Says that the running one lives. */
async function extendLease(client: Client, id: string): Promise<void> {
  await client.query(
    `UPDATE holdfast.data_migrations SET lease_until = now() + make_interval(secs => ${LEASE_SECONDS})
     WHERE id = $1 AND state = 'RUNNING'`,
    [id],
  );
}

/** To be called once registry.json, as it now lies on the disk, holds these. */
async function markExported(client: Client, ids: readonly string[]): Promise<void> {
  await client.query(
    `UPDATE holdfast.data_migrations SET exported_at = now() WHERE id = ANY($1) AND exported_at IS NULL`,
    [ids],
  );
}

/**
 * Before a down(): killed in it, the migration is neither done nor to be done, which is for the operator to say.
 * `forgetBatches` takes the mark away. May be run twice.
 */
async function beginTakingBack(client: Client, id: string): Promise<void> {
  await inTransaction(client, async () => {
    await client.query(
      `INSERT INTO holdfast.data_migration_batches (migration, batch) VALUES ($1, 'down ') ON CONFLICT DO NOTHING`,
      [id],
    );
    const reason = 'its down() was interrupted';
    await saveState(client, id, { state: 'FAILED', finishedAt: new Date(), reason });
  });
}

/** True when a down() of it began and did not come to its end: some of it may be taken back, and some not. */
async function isHalfTakenBack(client: Client, id: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `SELECT FROM holdfast.data_migration_batches WHERE migration = $1 AND starts_with(batch, 'down ')`,
    [id],
  );
  return (rowCount ?? 0) > 0;
}

/** Forgets how far the batches of a migration came, so that it starts afresh. */
async function forgetBatches(client: Client, id: string): Promise<void> {
  await client.query(
    `WITH batches AS (DELETE FROM holdfast.data_migration_batches WHERE migration = $1)
     DELETE FROM holdfast.data_migration_failures WHERE migration = $1`,
    [id],
  );
}
