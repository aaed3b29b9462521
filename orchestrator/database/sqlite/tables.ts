import type { DatabaseSync } from 'node:sqlite';

export const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;

export const tableNames = (database: DatabaseSync): string[] =>
  database
    .prepare(
      "select name from pragma_table_list where schema = 'main' and type = 'table' and name not like 'sqlite\\_%' escape '\\' order by name",
    )
    .all()
    .map(({ name }) => String(name));

export const countRows = (database: DatabaseSync, table: string): number =>
  Number(database.prepare(`select count(*) as n from ${quote(table)}`).get()?.['n']);

export const hasTable = (database: DatabaseSync, name: string) =>
  database.prepare("select 1 from sqlite_schema where type = 'table' and name = ?").get(name) !== undefined;

/** Tables that are ours, not the appliance's. */
export const bookkeeping = /^(_prisma_migrations|holdfast_.*)$/;
