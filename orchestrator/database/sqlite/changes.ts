import type { DatabaseSync } from 'node:sqlite';
import { openLive } from './open.ts';
import { bookkeeping, countRows, quote, tableNames } from './tables.ts';

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
