import type { DatabaseSync } from 'node:sqlite';

export interface SqliteColumn {
  readonly name: string;
  readonly type: string;
  readonly isNotNull: boolean;
  readonly hasDefault: boolean;
}

/** A table's columns, and the columns of each of its unique indexes. */
export interface SqliteTable {
  readonly columns: readonly SqliteColumn[];
  readonly unique: readonly string[];
  /** What it and its indexes were made by: while that is the same, so is the rest. */
  readonly madeBy: string;
}

export type SqliteSchema = ReadonlyMap<string, SqliteTable>;

/**
 * What SQLite says is there.
 *
 * @param known what was there before: tables that did not change are not asked for again
 */
export function readSchema(database: DatabaseSync, known: SqliteSchema = new Map()): SqliteSchema {
  const rows = database
    .prepare(
      `select tbl_name as name, group_concat(coalesce(sql, name), ';' || char(10)) as madeBy
       from (select * from sqlite_schema where type in ('table', 'index') order by type desc, name)
       where tbl_name not like 'sqlite\\_%' escape '\\' group by tbl_name`,
    )
    .all() as unknown as { name: string; madeBy: string }[];
  return new Map(
    rows.map(({ name, madeBy }) => {
      const before = known.get(name);
      return [name, before?.madeBy === madeBy ? before : readTable(database, name, madeBy)];
    }),
  );
}

function readTable(database: DatabaseSync, name: string, madeBy: string): SqliteTable {
  const columns = database.prepare('select * from pragma_table_info(?)').all(name) as unknown as Info[];
  const unique = database
    .prepare(
      `select (select group_concat(name, ', ') from pragma_index_info(i.name)) as columns
       from pragma_index_list(?) i where i."unique" = 1`,
    )
    .all(name) as { columns: string | null }[];
  return {
    columns: columns.map((one) => ({
      name: one.name,
      type: one.type.toUpperCase(),
      isNotNull: one.notnull === 1 && one.pk === 0,
      hasDefault: one.dflt_value !== null,
    })),
    unique: unique.flatMap((one) => one.columns ?? []),
    madeBy,
  };
}

interface Info {
  readonly name: string;
  readonly type: string;
  readonly notnull: number;
  readonly dflt_value: string | null;
  readonly pk: number;
}
