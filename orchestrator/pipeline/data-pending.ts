import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import type { Config } from '../config/schema.ts';
import type { DataMigrationState, RecordedDataMigration } from '../database/engine.ts';
import { registryPath } from '../snapshot/registry.ts';

/** A data migration's file, known by its name only. */
export interface DataMigrationFile {
  readonly id: string;
  readonly path: string;
}

// 001_what_it_does.ts, 002-what-it-does.migration.ts, 003_what_it_does.sql
const fileName = /^(?<id>\d{3,}[_-][A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*)(?:\.migration)?\.(?:[cm]?[jt]s|sql)$/;

/** The data migrations among the paths of a tree, in the order in which they run. */
export function dataMigrationFiles(paths: readonly string[], folder: string): DataMigrationFile[] {
  const number = ({ id }: DataMigrationFile) => Number.parseInt(id, 10);
  return paths
    .filter((path) => resolve('/', dirname(path)) === resolve('/', folder))
    .flatMap((path) => {
      const id = fileName.exec(basename(path))?.groups?.['id'];
      return id === undefined ? [] : [{ id, path }];
    })
    .toSorted((one, other) => number(one) - number(other) || (one.id < other.id ? -1 : 1));
}

/** The same for what lies in the checkout now. */
export function dataMigrationFilesInCheckout(directory: string, config: Config): DataMigrationFile[] {
  const dir = config.prisma?.dataMigrations?.dir;
  if (dir === undefined || !existsSync(join(directory, dir))) return [];
  return dataMigrationFiles(
    readdirSync(join(directory, dir)).map((name) => join(dir, name)),
    dir,
  );
}

export type DataMigrationStates = ReadonlyMap<string, DataMigrationState>;

/** Nothing is left to do in these. */
export function isDone(state: DataMigrationState | undefined): boolean {
  return state === 'COMPLETED' || state === 'NOT_NEEDED' || state === 'SKIPPED';
}

/** Ids among these files that are not done. */
export function pendingDataMigrations(
  files: readonly DataMigrationFile[],
  states: DataMigrationStates,
): string[] {
  return files.map(({ id }) => id).filter((id) => !isDone(states.get(id)));
}

/** The same for what lies in the checkout now. */
export async function pendingDataMigrationsInCheckout(
  appliance: Pick<Appliance, 'directory' | 'config' | 'database'>,
): Promise<string[]> {
  const files = dataMigrationFilesInCheckout(appliance.directory, appliance.config);
  return files.length === 0 ? [] : pendingDataMigrations(files, await readDataMigrationStates(appliance));
}

/**
 * What this appliance knows of its data migrations: by the table in the database where there is one, else by
 * registry.json. A server that does not run is not started.
 */
export async function readDataMigrationStates({
  directory,
  config,
  database,
}: Pick<Appliance, 'directory' | 'config' | 'database'>): Promise<DataMigrationStates> {
  const path = registryPath(config);
  if (path === undefined) return new Map();
  const entries = readRegistry(join(directory, path));
  const rows = await database?.dataMigrations().catch(() => undefined);
  if (rows === undefined) return entries ?? new Map();
  return new Map(rows.map((row) => [row.id, stateOf(row, entries)]));
}

/** A line that an operator took out of the file, or changed, counts: the file was seen to hold it as the table has it. */
function stateOf(
  { id, state, exported }: RecordedDataMigration,
  entries: DataMigrationStates | undefined,
): DataMigrationState {
  const isOutcome = isDone(state) || state === 'FAILED';
  return entries && exported && isOutcome ? (entries.get(id) ?? 'PENDING') : state;
}

const stateByStatus: Readonly<Record<string, DataMigrationState>> = {
  success: 'COMPLETED',
  'not-needed': 'NOT_NEEDED',
  skipped: 'SKIPPED',
  failed: 'FAILED',
};

/** What the file says; undefined where it cannot be read, which is the data-migration engine's to refuse. */
function readRegistry(path: string): DataMigrationStates | undefined {
  try {
    const raw = JSON.parse(readFileSync(path, 'utf8')) as { migrations: { id: string; status: string }[] };
    // Of another status than ours (an engine of the vendor's own) only this is known: it did not fail.
    return new Map(raw.migrations.map(({ id, status }) => [id, stateByStatus[status] ?? 'COMPLETED']));
  } catch {
    return undefined;
  }
}
