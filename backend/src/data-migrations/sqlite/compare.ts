import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { TableChange } from '../dry-run.ts';
import { quote } from '../identifiers.ts';
import { openFile } from './connection.ts';
import { PREFIX } from './store.ts';

const SAMPLES = 3;

/**
 * What differs between two files of one origin: rows by the key of their table, or by their number where it has none.
 *
 * @returns `warnings`: what is no change of rows, as a table that came or went
 */
export function compare(before: string, after: string): { changes: TableChange[]; warnings: string[] } {
  const database = openFile(after);
  try {
    database.prepare('ATTACH ? AS was').run(before);
    const [then, now] = [tablesOf(database, 'was'), tablesOf(database, 'main')];
    const warnings = [
      ...[...now].filter((table) => !then.has(table)).map((table) => `table ${table} is made`),
      ...[...then].filter((table) => !now.has(table)).map((table) => `table ${table} is dropped`),
    ];
    const changes = [...new Set([...then, ...now])].toSorted().flatMap((table) => {
      const change = compareTable(database, table, then.has(table), now.has(table), warnings);
      return change.inserted + change.updated + change.deleted === 0 ? [] : [change];
    });
    return { changes, warnings };
  } finally {
    database.close();
  }
}

function tablesOf(database: DatabaseSync, schema: string): Set<string> {
  const rows = database
    .prepare(
      `SELECT name FROM pragma_table_list WHERE schema = ? AND type = 'table'
         AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND substr(name, 1, ${PREFIX.length}) <> '${PREFIX}'`,
    )
    .all(schema);
  return new Set(rows.map(({ name }) => String(name)));
}

function compareTable(
  database: DatabaseSync,
  table: string,
  wasThere: boolean,
  isThere: boolean,
  warnings: string[],
): TableChange {
  const [was, is] = [`was.${quote.name(table)}`, `main.${quote.name(table)}`];
  const count = (sql: string): number =>
    Number(database.prepare(`SELECT count(*) AS n FROM ${sql}`).get()?.['n']);
  const some = (sql: string): SQLOutputValue[][] => {
    const statement = database.prepare(`${sql} LIMIT ${SAMPLES}`);
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);
    return statement.all() as unknown as SQLOutputValue[][];
  };
  const columnsOf = (schema: string): string[] =>
    database
      .prepare('SELECT name FROM pragma_table_xinfo(?, ?) ORDER BY cid')
      .all(table, schema)
      .map(({ name }) => String(name));
  const [before, after] = [wasThere ? columnsOf('was') : [], isThere ? columnsOf('main') : []];
  const all = (alias: string, columns: readonly string[]): string =>
    columns.map((column) => `${alias}.${quote.name(column)}`).join(', ');
  const whole = (from: string, alias: string, columns: readonly string[], rest = ''): unknown[] =>
    some(`SELECT ${all(alias, columns)} FROM ${from} AS ${alias}${rest}`).map((row) => rowOf(columns, row));
  if (!wasThere)
    return {
      ...{ table, inserted: count(is), updated: 0, deleted: 0 },
      samples: whole(is, 'y', after).map((row) => ({ before: null, after: row })),
    };
  if (!isThere)
    return {
      ...{ table, inserted: 0, updated: 0, deleted: count(was) },
      samples: whole(was, 'x', before).map((row) => ({ before: row, after: null })),
    };
  const common = before.filter((column) => after.includes(column));
  if (before.length !== common.length || after.length !== common.length)
    warnings.push(`table ${table} gets other columns: (${before.join(', ')}) becomes (${after.join(', ')})`);
  const key = keyOf(database, table, common);
  const match = key.map((column) => `x.${column} IS y.${column}`).join(' AND ');
  // What a NOCASE column takes for equal was changed all the same.
  const differs =
    common
      .map((column) => quote.name(column))
      .map((name) => `x.${name} COLLATE BINARY IS NOT y.${name} OR typeof(x.${name}) <> typeof(y.${name})`)
      .join(' OR ') || 'false';
  const updated = `${was} AS x JOIN ${is} AS y ON ${match} WHERE ${differs}`;
  const gone = ` WHERE NOT EXISTS (SELECT 1 FROM ${is} AS y WHERE ${match})`;
  const come = ` WHERE NOT EXISTS (SELECT 1 FROM ${was} AS x WHERE ${match})`;
  const pairs = some(`SELECT ${all('x', before)}, ${all('y', after)} FROM ${updated}`).map((row) => ({
    before: rowOf(before, row.slice(0, before.length)),
    after: rowOf(after, row.slice(before.length)),
  }));
  const samples = [
    ...pairs,
    ...whole(was, 'x', before, gone).map((row) => ({ before: row, after: null })),
    ...whole(is, 'y', after, come).map((row) => ({ before: null, after: row })),
  ];
  return {
    table,
    inserted: count(`${is} AS y${come}`),
    updated: count(updated),
    deleted: count(`${was} AS x${gone}`),
    samples: samples.slice(0, SAMPLES),
  };
}

/** Quoted; the number of the row where there is no primary key that both have. */
function keyOf(database: DatabaseSync, table: string, common: readonly string[]): string[] {
  const key = (schema: string): string[] =>
    database
      .prepare('SELECT name FROM pragma_table_xinfo(?, ?) WHERE pk > 0 ORDER BY pk')
      .all(table, schema)
      .map(({ name }) => String(name));
  const [was, is] = [key('was'), key('main')];
  const isSame = was.length > 0 && was.join('\0') === is.join('\0');
  return isSame && is.every((column) => common.includes(column)) ? is.map(quote.name) : ['rowid'];
}

/** For people, and for JSON, which has no big numbers and no bytes. */
function rowOf(columns: readonly string[], values: readonly SQLOutputValue[]): Record<string, unknown> {
  return Object.fromEntries(
    columns.map((column, index) => {
      const value = values[index] ?? null;
      if (typeof value === 'bigint')
        return [column, Number.isSafeInteger(Number(value)) ? Number(value) : String(value)];
      return [column, value instanceof Uint8Array ? `\\x${Buffer.from(value).toString('hex')}` : value];
    }),
  );
}
