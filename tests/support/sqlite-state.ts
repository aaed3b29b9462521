import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { State } from './state.ts';

/** What a query yields, on a connection of its own. */
export function sqliteRows(file: string, sql: string): Record<string, unknown>[] {
  const database = new DatabaseSync(file, { timeout: 5000 });
  try {
    if (!/^\s*(select|pragma)/i.test(sql)) {
      database.exec(sql);
      return [];
    }
    return database
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }));
  } finally {
    database.close();
  }
}

/** Everything of a database in a file: what its header says, definitions, rows with their numbers, whose it is. */
export function captureSqlite(file: string): State {
  const state = new Map<string, Record<string, string>>();
  const stat = statSync(file);
  const database = new DatabaseSync(file, { timeout: 5000 });
  try {
    const pragma = (name: string) => String(Object.values(database.prepare(`pragma ${name}`).get() ?? {})[0]);
    state.set('database', {
      mode: (stat.mode & 0o7777).toString(8),
      owner: `${stat.uid}:${stat.gid}`,
      ...Object.fromEntries(
        [
          ...['journal_mode', 'page_size', 'encoding', 'auto_vacuum', 'user_version', 'application_id'],
          ...['page_count', 'freelist_count', 'integrity_check'],
        ].map((name) => [name, pragma(name)]),
      ),
    });
    for (const row of database.prepare('select type, name, rootpage, sql from sqlite_schema').all())
      state.set(`schema ${String(row['type'])} ${String(row['name'])}`, {
        definition: String(row['sql']),
        page: String(row['rootpage']),
      });
    for (const { name } of database.prepare("select name from pragma_table_list where type = 'table'").all())
      for (const row of database.prepare(`select rowid as number, * from "${String(name)}"`).all())
        state.set(`row ${String(name)} (${String(row['number'])})`, { values: JSON.stringify(row) });
  } finally {
    database.close();
  }
  return state;
}
