import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  openSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { fsyncDirectory } from '../../lib/atomic-file.ts';
import type {
  AppliedMigration,
  RecordedDataMigration,
  SchemaInspection,
  SqliteFacts,
  TableDescription,
} from '../engine.ts';
import { revertSql } from '../recorded-migrations.ts';
import { findBrokenReferences, pragma, runScript } from './script.ts';
import { companionsOf } from './places.ts';

/** What SQLite itself knows of a database. */
export type Contents = Pick<
  SqliteFacts,
  | 'sqliteVersion'
  | 'pageSize'
  | 'encoding'
  | 'autoVacuum'
  | 'userVersion'
  | 'applicationId'
  | 'journalMode'
  | 'tables'
  | 'brokenReferences'
>;

/** How long a lock of somebody else's is waited for. */
const busyMs = 10_000;

const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** Opens what others may use meanwhile. Not read-only: that would leave the files of a write-ahead log behind. */
export function openLive(file: string, busyTimeoutMs = busyMs): DatabaseSync {
  // It would be made otherwise.
  statSync(file);
  return new DatabaseSync(file, { timeout: busyTimeoutMs });
}

/** Opens what nobody writes: no lock is taken, and nothing is made beside it. */
export function openSealed(file: string): DatabaseSync {
  const url = pathToFileURL(file);
  url.searchParams.set('immutable', '1');
  return new DatabaseSync(url, { readOnly: true });
}

/** Only what belongs to the database itself. */
export function readProperties(database: DatabaseSync, sealed: boolean): Contents {
  const number = (name: string) => Number(pragma(database, name));
  return {
    sqliteVersion: String(database.prepare('select sqlite_version() as v').get()?.['v']),
    pageSize: number('page_size'),
    encoding: String(pragma(database, 'encoding')),
    autoVacuum: number('auto_vacuum'),
    userVersion: number('user_version'),
    applicationId: number('application_id'),
    // A sealed one is opened without its log. Modes other than this one are of the session, not of the file.
    journalMode: sealed ? 'unknown' : pragma(database, 'journal_mode') === 'wal' ? 'wal' : 'delete',
    tables: [],
    brokenReferences: [],
  };
}

/** Everything that a manifest says. One transaction: while others write, it is of one moment. */
export function readContents(database: DatabaseSync, sealed = false): Contents {
  database.exec('begin');
  try {
    const tables = tableNames(database).map((name) => ({ name, rows: countRows(database, name) }));
    return {
      ...readProperties(database, sealed),
      tables,
      brokenReferences: findBrokenReferences(database).map(({ name, rows }) => ({ name, rows })),
    };
  } finally {
    database.exec('rollback');
  }
}

const tableNames = (database: DatabaseSync): string[] =>
  database
    .prepare(
      "select name from pragma_table_list where schema = 'main' and type = 'table' and name not like 'sqlite\\_%' escape '\\' order by name",
    )
    .all()
    .map(({ name }) => String(name));

const countRows = (database: DatabaseSync, table: string): number =>
  Number(database.prepare(`select count(*) as n from ${quote(table)}`).get()?.['n']);

/**
 * Copies a database page by page, by SQLite's own backup, and checks the copy. Not VACUUM INTO: that gives rows of tables
 * without a key of their own other numbers, and a restore is to bring back what was there.
 *
 * @returns what is in the copy: whatever others write meanwhile, it is what the copy holds
 * @throws Error that names what is damaged
 */
export async function backUp(file: string, to: string): Promise<Contents> {
  for (const path of [to, ...companionsOf(to)]) rmSync(path, { force: true });
  const database = openLive(file);
  let journalMode: string;
  try {
    journalMode = readProperties(database, false).journalMode;
    // All pages at one go: between steps others could write, and it would begin anew.
    await backup(database, to, { rate: 0x7fff_ffff });
  } finally {
    database.close();
  }
  chmodSync(to, 0o600);
  fsyncFile(to);
  fsyncDirectory(dirname(to));
  return { ...checkSealed(to, 'the database is damaged'), journalMode };
}

function fsyncFile(file: string): void {
  const descriptor = openSync(file, 'r+');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Reads all of a copy. Throws Error that names what is damaged. */
export function checkSealed(file: string, otherwise: string): Contents {
  const database = openSealed(file);
  try {
    const found = database
      .prepare('pragma integrity_check(20)')
      .all()
      .map((row) => String(Object.values(row)[0]));
    if (found.join() !== 'ok')
      throw new Error(`${otherwise}: ${found.slice(0, 5).join('; ').replaceAll('\n', ' ')}`);
    // The header's write version says whether a log is kept: 2 is a write-ahead log (sqlite.org/fileformat2.html).
    return { ...readContents(database, true), journalMode: headerJournalMode(file) };
  } finally {
    database.close();
  }
}

function headerJournalMode(file: string): string {
  const bytes = Buffer.alloc(20);
  const descriptor = openSync(file, 'r');
  try {
    return readSync(descriptor, bytes, 0, 20, 0) === 20 && bytes[18] === 2 ? 'wal' : 'delete';
  } finally {
    closeSync(descriptor);
  }
}

/** A copy of a sealed one, durable; blocks are shared where the file system can. */
export function copySealed(from: string, to: string): void {
  for (const path of [to, ...companionsOf(to)]) rmSync(path, { force: true });
  copyFileSync(from, to, constants.COPYFILE_FICLONE);
  fsyncFile(to);
}

/** A look that does not take long; where it would keep writers waiting, only the schema is read. */
export function quickCheck(file: string): void {
  const database = openLive(file);
  try {
    const isWal = pragma(database, 'journal_mode') === 'wal';
    const bytes = Number(pragma(database, 'page_count')) * Number(pragma(database, 'page_size'));
    tableNames(database);
    // A reader holds writers up, but for a write-ahead log.
    if (!isWal && bytes > 64 * 1024 * 1024) return;
    const found = database
      .prepare('pragma quick_check(5)')
      .all()
      .map((row) => String(Object.values(row)[0]));
    if (found.join() !== 'ok')
      throw new Error(`the database is damaged: ${found.join('; ').replaceAll('\n', ' ')}`);
  } finally {
    database.close();
  }
}

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

const hasTable = (database: DatabaseSync, name: string) =>
  database.prepare("select 1 from sqlite_schema where type = 'table' and name = ?").get(name) !== undefined;

/** Tables that are ours, not the appliance's. */
const bookkeeping = /^(_prisma_migrations|holdfast_.*)$/;

/** What `migrate status` and `migrate lint` ask. Sizes come from dbstat, where SQLite was built with it. */
export function inspectSchema(database: DatabaseSync): SchemaInspection {
  const sizes = readSizes(database);
  const indexes = new Map(
    database
      .prepare("select tbl_name as name, count(*) as n from sqlite_schema where type = 'index' group by 1")
      .all()
      .map((row) => [String(row['name']), Number(row['n'])]),
  );
  return {
    hasMigrationsTable: hasTable(database, '_prisma_migrations'),
    tables: tableNames(database)
      .filter((name) => !bookkeeping.test(name))
      .map((name) => ({
        schema: 'main',
        name,
        rows: countRows(database, name),
        bytes: sizes.get(name) ?? 0,
        indexes: indexes.get(name) ?? 0,
      })),
    lockHolders: [],
  };
}

function readSizes(database: DatabaseSync): Map<string, number> {
  try {
    const rows = database
      .prepare(
        `select coalesce(s.tbl_name, d.name) as name, sum(d.pgsize) as bytes from dbstat d
         left join sqlite_schema s on s.name = d.name where d.aggregate = true group by 1`,
      )
      .all();
    return new Map(rows.map((row) => [String(row['name']), Number(row['bytes'])]));
  } catch {
    return new Map();
  }
}

export function describeTable(database: DatabaseSync, name: string): TableDescription | undefined {
  if (!hasTable(database, name)) return undefined;
  const columns = database.prepare('select * from pragma_table_xinfo(?)').all(name);
  const indexes = database
    .prepare(
      `select l.name, coalesce(s.sql, 'PRIMARY KEY or UNIQUE (' ||
         (select group_concat(name, ', ') from pragma_index_info(l.name)) || ')') as definition
       from pragma_index_list(?) l left join sqlite_schema s on s.name = l.name order by l.seq desc`,
    )
    .all(name);
  const references = database
    .prepare(
      `select id, "table" as parent, group_concat("from", ', ') as columns, group_concat("to", ', ') as keys,
         on_update, on_delete from pragma_foreign_key_list(?) group by id order by id`,
    )
    .all(name);
  return {
    columns: columns.map((one) => ({
      name: String(one['name']),
      type: String(one['type']),
      nullable: one['notnull'] === 0 && one['pk'] === 0,
      default: one['dflt_value'] === null ? null : String(one['dflt_value']),
    })),
    indexes: indexes.map((one) => ({ definition: String(one['definition']), bytes: 0 })),
    constraints: references.map((one) => ({
      name: `foreign key ${String(one['id'])}`,
      definition:
        `FOREIGN KEY (${String(one['columns'])}) REFERENCES ${String(one['parent'])}(${String(one['keys'] ?? '')})` +
        ` ON UPDATE ${String(one['on_update'])} ON DELETE ${String(one['on_delete'])}`,
    })),
  };
}

/**
 * The schema as text, a line for each thing in it. Not the words by which it was made: a table that was rebuilt, or that
 * had a column added, says the same in others.
 */
export function schemaText(database: DatabaseSync): string {
  const lines = (sql: string, ...values: string[]) =>
    database
      .prepare(sql)
      .all(...values)
      .map((row) => Object.values(row).join(' '));
  const others = lines("select sql from sqlite_schema where type in ('view', 'trigger') order by type, name");
  const tables = tableNames(database).flatMap((table) => {
    const sql = String(
      database.prepare('select sql from sqlite_schema where name = ?').get(table)?.['sql'] ?? '',
    );
    return [
      ...lines('select cid, name, type, "notnull", dflt_value, pk, hidden from pragma_table_xinfo(?)', table),
      ...lines(
        'select id, seq, "table", "from", "to", on_update, on_delete from pragma_foreign_key_list(?)',
        table,
      ),
      ...lines(
        `select l."unique", l.origin, l.partial, i.seqno, i.name, i."desc", i.coll from pragma_index_list(?) l
         join pragma_index_xinfo(l.name) i where i.key = 1 order by l.name, i.seqno`,
        table,
      ),
      ...(sql.match(/\bAUTOINCREMENT\b|\bWITHOUT\s+ROWID\b|\bCHECK\s*\((?:[^()]|\([^()]*\))*\)/gi) ?? []),
    ].map((line) => `${table}: ${line}`);
  });
  return [...tables, ...others].map((line) => `${line.replaceAll(/\s+/g, ' ').trim()}\n`).join('');
}

/** Takes migrations back with Prisma's record of each, all in one transaction. */
export function revertMigrations(
  database: DatabaseSync,
  migrations: readonly { readonly name: string; readonly sql: string }[],
): void {
  runScript(database, revertSql(migrations));
}

/**
 * How many rows of each table are not in the former file as they are now, or are gone. Columns that both have are
 * compared, so a rebuilt table whose rows are as they were counts none.
 */
export function countChanges(before: string, after: string): { table: string; rows: number }[] {
  const database = openLive(after);
  try {
    database.prepare('attach database ? as former').run(before);
    const former = new Set(
      database
        .prepare("select name from former.sqlite_schema where type = 'table'")
        .all()
        .map(({ name }) => String(name)),
    );
    return tableNames(database)
      .filter((name) => !bookkeeping.test(name))
      .map((name) => ({ table: name, rows: changesIn(database, name, former.has(name)) }))
      .filter(({ rows }) => rows > 0)
      .toSorted((one, other) => other.rows - one.rows);
  } finally {
    database.close();
  }
}

function changesIn(database: DatabaseSync, table: string, wasThere: boolean): number {
  if (!wasThere) return countRows(database, table);
  const columns = database
    .prepare(
      "select name from pragma_table_info(?, 'main') intersect select name from pragma_table_info(?, 'former')",
    )
    .all(table, table)
    .map(({ name }) => quote(String(name)))
    .join(', ');
  if (columns === '') return countRows(database, table);
  const name = quote(table);
  const count = (one: string, other: string) =>
    Number(
      database
        .prepare(
          `select count(*) as n from (select ${columns} from ${one}.${name} except select ${columns} from ${other}.${name})`,
        )
        .get()?.['n'],
    );
  const changed = count('main', 'former');
  const gone = count('former', 'main');
  return Math.max(changed, gone);
}

/** An empty database, of one page: what SQLite would make at the first write. */
export function create(file: string): void {
  const database = new DatabaseSync(file);
  database.exec('begin immediate; create table holdfast_new (i); drop table holdfast_new; commit');
  database.close();
  fsyncFile(file);
  fsyncDirectory(dirname(file));
}
