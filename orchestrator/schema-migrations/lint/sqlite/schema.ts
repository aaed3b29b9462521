import type { DatabaseSync } from 'node:sqlite';

export interface SqliteColumn {
  readonly name: string;
  readonly type: string;
  readonly isNotNull: boolean;
  readonly hasDefault: boolean;
}

/** Tables with their columns, and the columns of their unique indexes. */
export type SqliteSchema = ReadonlyMap<
  string,
  { readonly columns: readonly SqliteColumn[]; readonly unique: readonly string[] }
>;

/** What SQLite says is there. */
export function readSchema(database: DatabaseSync): SqliteSchema {
  const tables = database
    .prepare(`select name from sqlite_schema where type = 'table' and name not like 'sqlite\\_%' escape '\\'`)
    .all() as { name: string }[];
  return new Map(
    tables.map(({ name }) => {
      const columns = database.prepare('select * from pragma_table_info(?)').all(name) as unknown as Info[];
      const unique = database
        .prepare(
          `select (select group_concat(name, ', ') from pragma_index_info(i.name)) as columns
           from pragma_index_list(?) i where i."unique" = 1`,
        )
        .all(name) as { columns: string | null }[];
      return [
        name,
        {
          columns: columns.map((one) => ({
            name: one.name,
            type: one.type.toUpperCase(),
            isNotNull: one.notnull === 1 && one.pk === 0,
            hasDefault: one.dflt_value !== null,
          })),
          unique: unique.flatMap((one) => one.columns ?? []),
        },
      ];
    }),
  );
}

interface Info {
  readonly name: string;
  readonly type: string;
  readonly notnull: number;
  readonly dflt_value: string | null;
  readonly pk: number;
}
