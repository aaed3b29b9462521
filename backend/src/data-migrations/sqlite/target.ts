import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';
import type { Target } from '../batch/target.ts';
import { quote } from '../identifiers.ts';

/** A table of SQLite's: enough to go through it in the order of its key, and to write to it. */
export interface SqliteTarget extends Target {
  /** Type by column, as the table was made. */
  readonly types: ReadonlyMap<string, string>;
  /** How the unique index compares each of the key's columns; undefined for a row's number. */
  readonly collations: readonly (string | undefined)[];
}

interface Column {
  readonly name: string;
  readonly type: string;
  readonly notnull: number;
  readonly pk: number;
}

interface Index {
  readonly columns: readonly { readonly name: string | null; readonly coll: string | null }[];
}

/**
 * Looks the table up.
 *
 * @param wanted the key's columns; its primary key when undefined
 * @throws Error when there is no such table or column, or when the key does not name each row once.
 */
export function findTarget(
  database: DatabaseSync,
  named: string,
  wanted: string | readonly string[] | undefined,
): SqliteTarget {
  const name = named.replace(/^main\./, '');
  const [table] = read<{ name: string; wr: number }>(
    database,
    `SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name = ? COLLATE NOCASE`,
    name,
  );
  if (table === undefined) throw new Error(`batch: there is no table ${name}`);
  const columns = read<Column>(database, 'SELECT name, type, "notnull", pk FROM pragma_table_xinfo(?)', name);
  const indexes = read<{ name: string; origin: string }>(
    database,
    'SELECT name, origin FROM pragma_index_list(?) WHERE "unique" = 1 AND partial = 0',
    name,
  );
  const primary = columns.filter(({ pk }) => pk > 0).toSorted((one, other) => one.pk - other.pk);
  // INTEGER PRIMARY KEY is the row's own number, and needs no index.
  const rowid = indexes.every(({ origin }) => origin !== 'pk') ? primary[0]?.name : undefined;
  if (wanted === undefined && primary.length === 0)
    throw new Error(`batch: ${name} has no primary key; name a unique "key"`);
  const key = wanted === undefined ? primary.map((column) => column.name) : [wanted].flat();
  for (const column of key) {
    const found = columns.find((one) => one.name === column);
    if (found === undefined) throw new Error(`batch: ${name} has no column "${column}"`);
    const isNumbered = column === rowid || (table.wr === 1 && found.pk > 0);
    if (found.notnull === 0 && !isNumbered)
      throw new Error(`batch: "${column}" of ${name} may be null, so it names no row`);
  }
  const unique = indexes
    .map((index) => readIndex(database, index.name))
    .find((index) => isWithin(index, key));
  if (unique === undefined && (rowid === undefined || !key.includes(rowid)))
    throw new Error(
      `batch: (${key.join(', ')}) of ${name} is not unique, so rows would be left out; add columns to "key" until it is, with a unique index`,
    );
  const collationOf = (column: string): string | undefined =>
    unique?.columns.find((one) => one.name === column)?.coll ?? undefined;
  return {
    table: quote.name(table.name),
    resolved: quote.plain(table.name),
    key,
    types: new Map(columns.map((column) => [column.name, column.type.toUpperCase()])),
    collations: key.map((column) => (column === rowid ? undefined : collationOf(column))),
  };
}

function readIndex(database: DatabaseSync, name: string): Index {
  return {
    columns: read<Index['columns'][number]>(
      database,
      'SELECT name, coll FROM pragma_index_xinfo(?) WHERE key = 1',
      name,
    ),
  };
}

/** Null is the name of an expression. */
function isWithin({ columns }: Index, key: readonly string[]): boolean {
  return columns.every(({ name }) => name !== null && key.includes(name));
}

function read<T>(database: DatabaseSync, sql: string, ...values: SQLInputValue[]): T[] {
  return database.prepare(sql).all(...values) as unknown as T[];
}

/** Each column of the key, compared as its unique index does. @param prefix the table's alias and a point, or nothing */
export function keyTerms({ key, collations }: SqliteTarget, prefix: 't.' | '' = 't.'): string[] {
  return key.map((column, index) => {
    const collation = collations[index];
    return `${prefix}${quote.name(column)}${collation === undefined ? '' : ` COLLATE ${quote.name(collation)}`}`;
  });
}

/** `(a, b)`, or `a` alone. */
export function tupleOf(terms: readonly string[]): string {
  return terms.length === 1 ? (terms[0] ?? '') : `(${terms.join(', ')})`;
}

export const marksOf = ({ key }: SqliteTarget): string => tupleOf(key.map(() => '?'));

/** A value of a key as it is kept: as SQL would write it, so that it comes back as what it was. */
export function encodeKey(value: SQLOutputValue | undefined): string {
  if (typeof value === 'string') return `'${value.replaceAll(`'`, `''`)}'`;
  if (value instanceof Uint8Array) return `x'${Buffer.from(value).toString('hex')}'`;
  // 2 and 2.0 are one key.
  return String(value);
}

export function decodeKey(text: string): SQLInputValue {
  if (text.startsWith(`'`)) return text.slice(1, -1).replaceAll(`''`, `'`);
  if (text.startsWith(`x'`)) return Buffer.from(text.slice(2, -1), 'hex');
  return /^-?\d+$/.test(text) ? BigInt(text) : Number(text);
}
