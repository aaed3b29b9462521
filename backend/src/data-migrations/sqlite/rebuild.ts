import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';
import { quote } from '../identifiers.ts';
import { editCreateTable, sameName } from './create-table.ts';

/*
 * What ALTER TABLE does not do, by the way that SQLite's own documentation gives for it (sqlite.org/lang_altertable.html,
 * 7): a new table, the rows copied, the old one dropped, the new one renamed.
 */

interface Column {
  readonly name: string;
  readonly type: string;
  readonly notnull: number;
  readonly dflt_value: string | null;
  readonly pk: number;
  /** 2 and 3: its value is generated. */
  readonly hidden: number;
}

/** A table as it is now. */
export interface Table {
  /** As it was made, whatever the case in which it was asked for. */
  readonly name: string;
  readonly sql: string;
  readonly isWithoutRowid: boolean;
  readonly columns: readonly Column[];
}

/** What is different in the new table. */
export interface ColumnChange {
  readonly column: string;
  readonly default: string;
}

/** @throws Error where there is none, or where it is none that has rows of its own */
export function findTable(database: DatabaseSync, named: string): Table {
  const name = named.replace(/^main\./, '');
  const [found] = read<{ name: string; type: string; wr: number }>(
    database,
    `SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND name = ? COLLATE NOCASE`,
    name,
  );
  if (found === undefined) throw new Error(`addColumnWithDefault: there is no table ${name}`);
  if (found.type !== 'table')
    throw new Error(`addColumnWithDefault: ${name} is no table with rows of its own (${found.type})`);
  const [schema] = read<{ sql: string }>(
    database,
    `SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?`,
    found.name,
  );
  return {
    name: found.name,
    sql: schema?.sql ?? '',
    isWithoutRowid: found.wr === 1,
    columns: read<Column>(
      database,
      'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid',
      found.name,
    ),
  };
}

export function findColumn({ columns }: Table, name: string): Column | undefined {
  return columns.find((column) => sameName(column.name, name));
}

/**
 * Makes the new table, without rows.
 *
 * @returns its name
 * @throws Error when it would not be the same but for the change
 */
export function makeEmpty(database: DatabaseSync, table: Table, change: ColumnChange): string {
  const name = freeName(database);
  const found = findColumn(table, change.column);
  try {
    rowidOf(database, table);
    const sql = editCreateTable(table.sql, change.column, {
      table: quote.name(name),
      default: change.default,
      notNull: found?.notnull !== 1,
    });
    database.exec(sql);
    const [old, made] = [table.name, name].map((one) => structureOf(database, one, change.column));
    if (old !== made) throw new Error('its copy would have another structure');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `addColumnWithDefault: SQLite only makes a column NOT NULL in a new table, and ${table.name} cannot be made anew (${reason}); give the new column a constant default and no other value, or leave it nullable and fill it by "batch"`,
      { cause: error },
    );
  }
  return name;
}

/**
 * Puts a new table in the place of an old one: with its rows and their numbers, its indexes and triggers; views, and what
 * refers to it, mean the new one. To be called in a transaction, with foreign_keys off and legacy_alter_table on.
 *
 * @throws Error when anything would be different afterwards: the transaction is to be rolled back then
 */
export function makeAnew(database: DatabaseSync, table: Table, change: ColumnChange): void {
  // Else DROP TABLE would delete the rows first, with what refers to them; and views would mean the table that is gone.
  if (setting(database, 'foreign_keys') !== 0 || setting(database, 'legacy_alter_table') !== 1)
    throw new Error('addColumnWithDefault: SQLite does not take foreign_keys = OFF');
  const others = schemaBut(database, table.name);
  const dropped = read<{ sql: string }>(
    database,
    `SELECT sql FROM main.sqlite_schema WHERE tbl_name = ? COLLATE NOCASE AND type IN ('index', 'trigger')
       AND sql IS NOT NULL ORDER BY rowid`,
    table.name,
  );
  const has = (name: string): boolean =>
    read(database, 'SELECT 1 FROM main.sqlite_schema WHERE name = ?', name).length > 0;
  const statistics = ['sqlite_stat1', 'sqlite_stat4'].filter(has);
  const sequence = has('sqlite_sequence') ? sequenceOf(database, table.name) : undefined;
  const made = makeEmpty(database, table, change);

  const [old, anew] = [quote.name(table.name), quote.name(made)];
  const names = [
    ...rowidOf(database, table),
    ...table.columns.filter(({ hidden }) => hidden === 0).map(({ name }) => quote.name(name)),
  ].join(', ');
  // Whatever the table says of conflicts, no row is left out.
  const { changes } = database
    .prepare(`INSERT OR ABORT INTO ${anew} (${names}) SELECT ${names} FROM ${old}`)
    .run();
  const [rows] = read<{ n: number }>(database, `SELECT count(*) AS n FROM ${old}`);
  if (Number(changes) !== rows?.n)
    throw new Error(`addColumnWithDefault: ${changes} of ${rows?.n} rows of ${table.name} were copied`);

  for (const one of statistics)
    database.prepare(`UPDATE ${one} SET tbl = ? WHERE tbl = ?`).run(made, table.name);
  database.exec(`DROP TABLE ${old}`);
  database.exec(`ALTER TABLE ${anew} RENAME TO ${old}`);
  for (const one of statistics)
    database.prepare(`UPDATE ${one} SET tbl = ? WHERE tbl = ?`).run(table.name, made);
  if (sequence !== undefined) {
    database.prepare('DELETE FROM sqlite_sequence WHERE name IN (?, ?)').run(table.name, made);
    for (const seq of sequence)
      database.prepare('INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)').run(table.name, seq);
  }
  for (const { sql } of dropped) database.exec(sql);
  if (schemaBut(database, table.name) !== others)
    throw new Error(`addColumnWithDefault: the indexes, triggers or views of ${table.name} would be others`);
}

/** What does not go with the foreign keys of a table and of those that refer to it; the same afterwards, or it is undone. */
export function violationsOf(database: DatabaseSync, table: string): string {
  const tables = read<{ name: string }>(
    database,
    `SELECT name FROM main.sqlite_schema AS s WHERE type = 'table' AND (name = ?1 OR EXISTS (
       SELECT 1 FROM pragma_foreign_key_list(s.name) AS f WHERE f."table" = ?1 COLLATE NOCASE)) ORDER BY name`,
    table,
  );
  return tables
    .map(({ name }) => {
      try {
        const [found] = read<{ n: number }>(
          database,
          'SELECT count(*) AS n FROM pragma_foreign_key_check(?)',
          name,
        );
        return `${name}: ${found?.n}`;
      } catch (error) {
        // A key that refers to what is no key.
        return `${name}: ${String(error)}`;
      }
    })
    .join(', ');
}

function sequenceOf(database: DatabaseSync, table: string): SQLOutputValue[] {
  const statement = database.prepare('SELECT seq FROM sqlite_sequence WHERE name = ?');
  statement.setReadBigInts(true);
  return statement.all(table).map(({ seq }) => seq ?? null);
}

/** By which name the number of a row is written where it is no column, if it has one. */
function rowidOf(database: DatabaseSync, { name, isWithoutRowid, columns }: Table): string[] {
  if (isWithoutRowid) return [];
  const indexes = read<{ origin: string }>(database, 'SELECT origin FROM pragma_index_list(?)', name);
  // INTEGER PRIMARY KEY needs no index.
  if (columns.some(({ pk }) => pk > 0) && indexes.every(({ origin }) => origin !== 'pk')) return [];
  const free = ['rowid', '_rowid_', 'oid'].find((one) =>
    columns.every((column) => !sameName(column.name, one)),
  );
  if (free === undefined) throw new Error('its columns hide the numbers of its rows');
  return [free];
}

/** All that SQLite tells of a table's structure, but for the one column's default and NOT NULL. */
function structureOf(database: DatabaseSync, name: string, column: string): string {
  const rows = (sql: string): object[] => read<object>(database, sql, name);
  return JSON.stringify([
    read<Column>(database, 'SELECT * FROM pragma_table_xinfo(?)', name).map((one) =>
      sameName(one.name, column) ? { ...one, notnull: 0, dflt_value: null } : one,
    ),
    rows(`SELECT wr, strict FROM pragma_table_list WHERE schema = 'main' AND name = ?`),
    rows('SELECT * FROM pragma_foreign_key_list(?)'),
    rows(`SELECT l.seq, l.origin, x.* FROM pragma_index_list(?) AS l, pragma_index_xinfo(l.name) AS x
          WHERE l.origin <> 'c' ORDER BY l.origin, l.name, x.seqno`).map((one) => ({ ...one, seq: 0 })),
  ]);
}

/** What the schema says, without the one table. */
function schemaBut(database: DatabaseSync, table: string): string {
  return JSON.stringify(
    read<object>(
      database,
      `SELECT type, name, tbl_name, sql FROM main.sqlite_schema
       WHERE NOT (type = 'table' AND name = ?) ORDER BY type, name`,
      table,
    ),
  );
}

function freeName(database: DatabaseSync): string {
  for (let number = 1; ; number += 1) {
    const name = `holdfast_anew_${number}`;
    if (read(database, 'SELECT 1 FROM main.sqlite_schema WHERE name = ? COLLATE NOCASE', name).length === 0)
      return name;
  }
}

function setting(database: DatabaseSync, pragma: string): unknown {
  return Object.values(database.prepare(`PRAGMA ${pragma}`).get() ?? {})[0];
}

function read<T>(database: DatabaseSync, sql: string, ...values: SQLInputValue[]): T[] {
  return database.prepare(sql).all(...values) as unknown as T[];
}
