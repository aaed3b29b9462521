import type { DatabaseSync } from 'node:sqlite';
import { fold } from './tokens.ts';

export interface SqliteColumn {
  readonly name: string;
  readonly type: string;
  readonly isNotNull: boolean;
  readonly hasDefault: boolean;
}

/** What SQLite makes of a declared type: "Determination Of Column Affinity" (sqlite.org/datatype3.html). */
export function affinityOf(type: string): 'INTEGER' | 'TEXT' | 'BLOB' | 'REAL' | 'NUMERIC' {
  if (/INT/i.test(type)) return 'INTEGER';
  if (/CHAR|CLOB|TEXT/i.test(type)) return 'TEXT';
  if (/BLOB/i.test(type) || type === '') return 'BLOB';
  return /REAL|FLOA|DOUB/i.test(type) ? 'REAL' : 'NUMERIC';
}

export interface SqliteTable {
  readonly name: string;
  readonly columns: readonly SqliteColumn[];
  /** The columns of each unique index that is about columns alone. */
  readonly unique: readonly (readonly string[])[];
  /** The columns of the primary key: SQLite makes no index for one that is an INTEGER. */
  readonly key: readonly string[];
}

/** Tables by their names, as `fold` makes them. */
export type SqliteSchema = ReadonlyMap<string, SqliteTable>;

/**
 * What SQLite says is there now.
 *
 * @param known what was there before
 * @param touched folded names of the tables that may have changed since; the others are not asked for again
 */
export function readSchema(
  database: DatabaseSync,
  known: SqliteSchema,
  touched: Iterable<string>,
): SqliteSchema {
  const schema = new Map(known);
  for (const name of touched) {
    const table = readTable(database, name);
    if (table) schema.set(fold(name), table);
    else schema.delete(fold(name));
  }
  return schema;
}

/** A table as SQLite has it, in any spelling of its name. */
export function readTable(
  database: DatabaseSync,
  name: string,
  schema: 'main' | 'temp' = 'main',
): SqliteTable | undefined {
  const table = database
    .prepare(`select name from ${schema}.sqlite_schema where type = 'table' and name = ? collate nocase`)
    .get(name) as { name: string } | undefined;
  if (!table) return undefined;
  const columns = database
    .prepare(`select * from pragma_table_info(?, ?)`)
    .all(name, schema) as unknown as Info[];
  const unique = database
    .prepare(
      `select (select json_group_array(name) from pragma_index_info(i.name, ?2)) as columns
       from pragma_index_list(?1, ?2) i where i."unique" = 1`,
    )
    .all(name, schema) as { columns: string }[];
  return {
    name: table.name,
    columns: columns.map((one) => ({
      name: one.name,
      type: one.type.toUpperCase(),
      isNotNull: one.notnull === 1 && one.pk === 0,
      hasDefault: one.dflt_value !== null,
    })),
    unique: unique
      .map((one) => JSON.parse(one.columns) as (string | null)[])
      .filter((names): names is string[] => !names.includes(null)),
    key: columns.filter(({ pk }) => pk > 0).map((one) => one.name),
  };
}

interface Info {
  readonly name: string;
  readonly type: string;
  readonly notnull: number;
  readonly dflt_value: string | null;
  readonly pk: number;
}
