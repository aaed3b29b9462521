import type { DatabaseSync } from 'node:sqlite';
import type { SchemaInspection, TableDescription } from '../engine.ts';
import { bookkeeping, countRows, hasTable, tableNames } from './tables.ts';

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
      ...lines('select name, type, "notnull", dflt_value, pk, hidden from pragma_table_xinfo(?)', table),
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
