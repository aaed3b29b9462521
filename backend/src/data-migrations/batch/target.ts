import type { Client } from 'pg';
import { quote } from '../identifiers.ts';

/** What is known of a table: enough to go through it in the order of its key, and to write to it. */
export interface Target {
  /** Quoted. */
  readonly table: string;
  readonly key: readonly string[];
  /** Type by column, as SQL writes it. */
  readonly types: ReadonlyMap<string, string>;
}

interface Column {
  readonly name: string;
  readonly type: string;
  readonly notNull: boolean;
}

/**
 * Looks the table up.
 *
 * @param wanted the key's columns; its primary key when undefined
 * @throws Error when there is no such table or column, or when the key does not name each row once.
 */
export async function findTarget(
  client: Client,
  name: string,
  wanted: string | readonly string[] | undefined,
): Promise<Target> {
  const table = quote.table(name);
  const { rows: columns } = await client.query<Column>(
    `SELECT attname AS name, format_type(atttypid, -1) AS type, attnotnull AS "notNull" FROM pg_attribute
     WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`,
    [table],
  );
  if (columns.length === 0) throw new Error(`batch: there is no table ${name}`);
  const { rows: indexes } = await client.query<{ columns: string[]; primary: boolean }>(
    `SELECT i.indisprimary AS primary, array_agg(a.attname::text ORDER BY k.position) AS columns
     FROM pg_index i CROSS JOIN unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(attnum, position)
       JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
     WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
     GROUP BY i.indexrelid, i.indisprimary`,
    [table],
  );
  const key = chooseKey(name, wanted, indexes);
  const byName = new Map(columns.map((column) => [column.name, column]));
  for (const column of key) {
    const found = byName.get(column);
    if (found === undefined) throw new Error(`batch: ${name} has no column "${column}"`);
    if (!found.notNull) throw new Error(`batch: "${column}" of ${name} may be null, so it names no row`);
  }
  const isUnique = indexes.some((index) => index.columns.every((column) => key.includes(column)));
  if (!isUnique)
    throw new Error(
      `batch: (${key.join(', ')}) of ${name} is not unique, so rows would be left out; add columns to "key" until it is, with a unique index`,
    );
  return { table, key, types: new Map(columns.map((column) => [column.name, column.type])) };
}

function chooseKey(
  name: string,
  wanted: string | readonly string[] | undefined,
  indexes: readonly { columns: string[]; primary: boolean }[],
): readonly string[] {
  if (wanted !== undefined) return typeof wanted === 'string' ? [wanted] : wanted;
  const primary = indexes.find((index) => index.primary);
  if (primary === undefined) throw new Error(`batch: ${name} has no primary key; name a unique "key"`);
  return primary.columns;
}

/** `("a", "b")`, or `"a"` alone; with the table's alias before each. */
export function tuple(columns: readonly string[], alias: string): string {
  const names = columns.map((column) => `${alias}.${quote.name(column)}`).join(', ');
  return columns.length === 1 ? names : `(${names})`;
}

/** The same of parameters, cast to the columns' types: `($2::text::integer, ...)`. */
export function parameters(target: Target, first: number): string {
  const values = target.key.map((column, index) => `$${first + index}::text::${target.types.get(column)}`);
  return values.length === 1 ? (values[0] ?? '') : `(${values.join(', ')})`;
}
