import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { describeError, EXIT, Refusal } from '../refusal.ts';
import type { State } from '../states.ts';
import { ON_CONFLICT, LEASE_SECONDS, storable, type Row, type Store } from '../store.ts';
import { whenFree } from './connection.ts';

/** SQLite has no schemas: by this prefix they are known, and left out of what a dry run tells. */
export const PREFIX = 'holdfast_';

/** The columns of PostgreSQL's tables; times are ISO 8601 in UTC, JSON is text. */
const DEFINITIONS = `
CREATE TABLE IF NOT EXISTS holdfast_data_migrations (
  id TEXT NOT NULL PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('PENDING', 'RUNNING', 'COMPLETED', 'NOT_NEEDED', 'FAILED', 'SKIPPED')),
  checksum TEXT,
  started_at TEXT,
  finished_at TEXT,
  duration_ms INTEGER,
  "rows" INTEGER,
  attempts INTEGER NOT NULL DEFAULT 0,
  reason TEXT,
  result TEXT,
  lease_until TEXT,
  exported_at TEXT
);
CREATE TABLE IF NOT EXISTS holdfast_data_migration_batches (
  migration TEXT NOT NULL,
  batch TEXT NOT NULL,
  "cursor" TEXT,
  done INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  finished INTEGER NOT NULL DEFAULT 0,
  plan TEXT,
  PRIMARY KEY (migration, batch)
);
CREATE TABLE IF NOT EXISTS holdfast_data_migration_failures (
  migration TEXT NOT NULL,
  batch TEXT NOT NULL,
  key TEXT NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (migration, batch, key)
);`;

/** May be run twice. */
export function makeTables(database: DatabaseSync): void {
  database.exec(DEFINITIONS);
  const hasPlan = database
    .prepare(`SELECT 1 FROM pragma_table_info('holdfast_data_migration_batches') WHERE name = 'plan'`)
    .get();
  if (hasPlan === undefined)
    database.exec('ALTER TABLE holdfast_data_migration_batches ADD COLUMN plan TEXT');
}

/** What it remembers; undefined where the engine never ran any on it. */
export function readTable(database: DatabaseSync): Row[] | undefined {
  const there = database.prepare(`SELECT 1 FROM sqlite_schema WHERE name = 'holdfast_data_migrations'`).get();
  if (there === undefined) return undefined;
  const rows = database
    .prepare(
      `SELECT *, (SELECT total(done + failed) FROM holdfast_data_migration_batches AS b WHERE b.migration = m.id) AS batched
       FROM holdfast_data_migrations AS m ORDER BY id`,
    )
    .all();
  return rows.map((row) => ({
    id: String(row['id']),
    state: row['state'] as State,
    checksum: textOf(row['checksum']),
    finishedAt: dateOf(row['finished_at']),
    durationMs: numberOf(row['duration_ms']),
    rows: numberOf(row['rows']),
    attempts: Number(row['attempts']),
    reason: textOf(row['reason']),
    exportedAt: dateOf(row['exported_at']),
    leaseUntil: dateOf(row['lease_until']),
    batched: Number(row['batched']),
  }));
}

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const numberOf = (value: unknown): number | null => (typeof value === 'number' ? value : null);
const dateOf = (value: unknown): Date | null => (typeof value === 'string' ? new Date(value) : null);

/** @param file is said when somebody else has it locked for too long */
export function sqliteStore(database: DatabaseSync, file: string): Store {
  const run = (sql: string, ...values: SQLInputValue[]): void => void database.prepare(sql).run(...values);
  /** A statement by itself waits for its turn; one in a transaction of ours has it. */
  const write = async (sql: string, ...values: SQLInputValue[]): Promise<void> => {
    if (database.isTransaction) run(sql, ...values);
    else await whenFree(file, () => run(sql, ...values));
  };
  const store: Store = {
    readRows: async () => await whenFree(file, () => readTable(database)),
    async createTables() {
      try {
        await whenFree(file, () => makeTables(database));
      } catch (error) {
        throw new Refusal(
          EXIT.refused,
          `cannot make the tables of the data migrations: ${describeError(error)}. Nothing was run. Run as the user who owns the database`,
          { cause: error },
        );
      }
    },
    async saveState(id, { state, checksum, finishedAt, durationMs, rows, reason, result }) {
      const isStart = state === 'RUNNING';
      const now = new Date();
      await write(
        `INSERT INTO holdfast_data_migrations AS m
           (id, state, checksum, started_at, finished_at, duration_ms, "rows", attempts, reason, result, lease_until)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ${ON_CONFLICT}`,
        id,
        state,
        checksum ?? null,
        isStart ? now.toISOString() : null,
        finishedAt?.toISOString() ?? null,
        durationMs ?? null,
        rows ?? null,
        isStart ? 1 : 0,
        typeof reason === 'string' ? storable(reason) : null,
        result === undefined ? null : storable(JSON.stringify(result)),
        isStart ? leaseFrom(now) : null,
      );
    },
    async inTransaction(work) {
      await whenFree(file, () => database.exec('BEGIN IMMEDIATE'));
      try {
        const result = await work();
        await whenFree(file, () => database.exec('COMMIT'));
        return result;
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK');
        throw error;
      }
    },
    // While the migration writes nobody else can, and the next sign comes soon; that it lives is told by the lock.
    extendLease: async (id) =>
      await whenFree(
        file,
        () =>
          run(
            `UPDATE holdfast_data_migrations SET lease_until = ? WHERE id = ? AND state = 'RUNNING'`,
            leaseFrom(new Date()),
            id,
          ),
        0,
      ),
    markExported: async (ids) =>
      await write(
        `UPDATE holdfast_data_migrations SET exported_at = ?
         WHERE id IN (SELECT value FROM json_each(?)) AND exported_at IS NULL`,
        new Date().toISOString(),
        JSON.stringify(ids),
      ),
    beginTakingBack: async (id) =>
      await store.inTransaction(async () => {
        run(
          `INSERT INTO holdfast_data_migration_batches (migration, batch) VALUES (?, 'down ') ON CONFLICT DO NOTHING`,
          id,
        );
        await store.saveState(id, {
          ...{ state: 'FAILED', finishedAt: new Date(), reason: 'its down() was interrupted' },
        });
      }),
    // A new installation is not told from others here.
    wasAppliedBefore: async () => await Promise.resolve(false),
    isHalfTakenBack: async (id) =>
      await whenFree(
        file,
        () =>
          database
            .prepare(
              `SELECT 1 FROM holdfast_data_migration_batches WHERE migration = ? AND substr(batch, 1, 5) = 'down '`,
            )
            .get(id) !== undefined,
      ),
    async forgetBatches(id) {
      await write('DELETE FROM holdfast_data_migration_batches WHERE migration = ?', id);
      await write('DELETE FROM holdfast_data_migration_failures WHERE migration = ?', id);
    },
  };
  return store;
}

function leaseFrom(now: Date): string {
  return new Date(now.getTime() + LEASE_SECONDS * 1000).toISOString();
}
