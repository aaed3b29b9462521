import type { DatabaseSync } from 'node:sqlite';
import type { AppliedMigration, RecordedDataMigration } from '../engine.ts';
import { revertSql } from '../recorded-migrations.ts';
import { runScript } from './script.ts';
import { hasTable } from './tables.ts';

/** Schema migrations as Prisma recorded them; empty where it has no table. Times are milliseconds, or text. */
export function readSchemaMigrations(database: DatabaseSync): AppliedMigration[] {
  if (!hasTable(database, '_prisma_migrations')) return [];
  return database
    .prepare('select * from _prisma_migrations order by started_at, migration_name')
    .all()
    .map((row) => ({
      name: String(row['migration_name']),
      finished: row['finished_at'] !== null,
      rolledBack: row['rolled_back_at'] !== null,
      checksum: String(row['checksum']),
      startedAt: toIso(row['started_at']),
      log: row['logs'] === null || row['logs'] === '' ? null : String(row['logs']),
    }));
}

/** Prisma's drivers write milliseconds, SQLite's own CURRENT_TIMESTAMP a text in UTC without saying so. */
function toIso(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return new Date(Number(value)).toISOString();
  const text = String(value);
  const date = new Date(
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?$/.test(text) ? `${text.replace(' ', 'T')}Z` : text,
  );
  return Number.isNaN(date.getTime()) ? text : date.toISOString();
}

/** Data migrations as the data-migration engine recorded them; undefined where it has no table. */
export function readDataMigrations(database: DatabaseSync): RecordedDataMigration[] | undefined {
  if (!hasTable(database, 'holdfast_data_migrations')) return undefined;
  return database
    .prepare(
      'select id, state, exported_at is not null as exported from holdfast_data_migrations order by id',
    )
    .all()
    .map((row) => ({
      id: String(row['id']),
      state: row['state'] as RecordedDataMigration['state'],
      exported: row['exported'] === 1,
    }));
}

/** Takes migrations back with Prisma's record of each, all in one transaction. */
export function revertMigrations(
  database: DatabaseSync,
  migrations: readonly { readonly name: string; readonly sql: string }[],
): void {
  runScript(database, revertSql(migrations));
}
