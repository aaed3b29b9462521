import type { Client } from 'pg';
import { quote } from '../identifiers.ts';

export interface Column {
  readonly name: string;
  /** As SQL writes it. */
  readonly type: string;
  /** The same, or what a domain is made of. */
  readonly base: string;
  readonly notNull: boolean;
  /** The database alone writes it. */
  readonly generated: boolean;
}

/** What is known of a table of any database. */
export interface Target {
  /** Quoted: what follows FROM or UPDATE. */
  readonly table: string;
  /** What the database calls it, for people: the same however the migration writes it. */
  readonly resolved: string;
  readonly key: readonly string[];
}

/** One of PostgreSQL: enough to go through it in the order of its key, and to write to it. */
export interface PgTarget extends Target {
  /** For people. */
  readonly name: string;
  /** Quoted: what its columns are called by, which is the table's own name, as its author would write it. */
  readonly alias: string;
  readonly oid: number;
  readonly columns: ReadonlyMap<string, Column>;
}

interface Relation {
  readonly oid: number;
  readonly name: string;
  readonly resolved: string;
  readonly partitioned: boolean;
  readonly hidden: boolean;
  readonly children: readonly string[] | null;
}

interface Index {
  readonly columns: string[];
  readonly primary: boolean;
}

/** By which names a table is looked for, the first one first. */
export interface Wanted {
  /** As the migration has it. */
  readonly name: string;
  /** Quoted. */
  readonly names: readonly string[];
  /** Without the rows of the tables that inherit from it. */
  readonly only: boolean;
}

/** Reads `users`, `billing.users`, `ONLY users`; a name with a dot in it is found as well. */
export function readTable(text: string): Wanted {
  const name = text.replace(/^only\s+/i, '');
  return { name, names: [quote.table(name), quote.name(name)], only: name !== text };
}

/**
 * Looks the table up.
 *
 * @param key the key's columns; its primary key when undefined
 * @throws Error when there is no such table or column, when the key does not name each row once, or when some rows
 *   cannot be seen or told apart
 */
export async function findTarget(
  client: Client,
  wanted: Wanted,
  key: string | readonly string[] | undefined,
): Promise<PgTarget> {
  const { name } = wanted;
  const relation = await findRelation(client, wanted);
  refuseHidden(relation, wanted);
  const { rows: columns } = await client.query<Column>(
    `SELECT a.attname AS name, format_type(a.atttypid, -1) AS type, a.attnotnull AS "notNull",
       a.attgenerated <> '' OR a.attidentity = 'a' AS generated,
       (WITH RECURSIVE made (oid) AS (
          SELECT a.atttypid UNION SELECT t.typbasetype FROM made JOIN pg_type t USING (oid) WHERE t.typtype = 'd'
        ) SELECT format_type(oid, -1) FROM made JOIN pg_type USING (oid) WHERE typtype <> 'd') AS base
     FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [relation.oid],
  );
  const { rows: indexes } = await client.query<Index>(
    `SELECT i.indisprimary AS primary, array_agg(a.attname::text ORDER BY k.position) AS columns
     FROM pg_index i CROSS JOIN unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(attnum, position)
       JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
     WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
     GROUP BY i.indexrelid, i.indisprimary`,
    [relation.oid],
  );
  const byName = new Map(columns.map((column) => [column.name, column]));
  const alias = quote.name(relation.name);
  return {
    name,
    table: `${wanted.only ? 'ONLY ' : ''}${await qualify(client, relation.oid)} AS ${alias}`,
    resolved: quote.plain(relation.resolved),
    alias,
    oid: relation.oid,
    key: chooseKey(name, key, indexes, byName),
    columns: byName,
  };
}

async function findRelation(client: Client, { name, names }: Wanted): Promise<Relation> {
  for (const quoted of names) {
    const { rows } = await client.query<Relation>(
      `SELECT c.oid::int8::float8 AS oid, c.relname AS name, c.oid::regclass::text AS resolved, c.relkind = 'p' AS partitioned, row_security_active(c.oid) AS hidden,
         (SELECT array_agg(inhrelid::regclass::text ORDER BY 1) FROM pg_inherits WHERE inhparent = c.oid) AS children
       FROM pg_class c WHERE c.oid = to_regclass($1)`,
      [quoted],
    );
    if (rows[0]) return rows[0];
  }
  const { rows } = await client.query<{ name: string }>(
    `SELECT oid::regclass::text AS name FROM pg_class WHERE relkind IN ('r', 'p') AND lower(relname) = lower($1) LIMIT 3`,
    [name.split('.').at(-1)],
  );
  const others = rows.map((row) => quote.plain(row.name)).join(', ');
  throw new Error(`batch: there is no table ${name}${others === '' ? '' : ` (there is ${others})`}`);
}

/** With its schema, so that nothing which changes the search path leads elsewhere. */
async function qualify(client: Client, oid: number): Promise<string> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1`,
    [oid],
  );
  return rows[0]?.name ?? '';
}

function refuseHidden({ name, hidden, partitioned, children }: Relation, { only }: Wanted): void {
  if (hidden)
    throw new Error(
      `batch: row-level security hides rows of ${name} from this role, and they would be left out: run the data migrations as a role with BYPASSRLS, or as the table's owner (without FORCE ROW LEVEL SECURITY)`,
    );
  if (children !== null && !partitioned && !only)
    throw new Error(
      `batch: ${children.slice(0, 3).join(', ')} ${children.length === 1 ? 'inherits' : 'inherit'} from ${name}, whose key does not tell their rows apart: go by the table "ONLY ${name}", and by each of the others in a batch of its own`,
    );
}

/** @throws Error when it does not name each row once. */
function chooseKey(
  name: string,
  wanted: string | readonly string[] | undefined,
  indexes: readonly Index[],
  columns: ReadonlyMap<string, Column>,
): readonly string[] {
  const key = wanted === undefined ? indexes.find((index) => index.primary)?.columns : [wanted].flat();
  if (key === undefined) throw new Error(`batch: ${name} has no primary key; name a unique "key"`);
  for (const column of key) {
    const found = columns.get(column);
    if (found === undefined) throw new Error(`batch: ${name} has no column "${column}"`);
    if (!found.notNull) throw new Error(`batch: "${column}" of ${name} may be null, so it names no row`);
  }
  if (!indexes.some((index) => index.columns.every((column) => key.includes(column))))
    throw new Error(
      `batch: (${key.join(', ')}) of ${name} is not unique, so rows would be left out; add columns to "key" until it is, with a unique index`,
    );
  return key;
}

/** The same, its columns called by another name. */
export function withAlias(target: PgTarget, name: string): PgTarget {
  const alias = quote.name(name);
  return { ...target, alias, table: target.table.slice(0, -target.alias.length) + alias };
}

/** A column of the table, by its alias. */
export function columnOf({ alias }: PgTarget, column: string): string {
  return `${alias}.${quote.name(column)}`;
}

/** The key's columns: `(t."a", t."b")`, or `t."a"` alone. */
export function tuple(target: PgTarget): string {
  const names = target.key.map((column) => columnOf(target, column)).join(', ');
  return target.key.length === 1 ? names : `(${names})`;
}

/** The same of parameters, cast to the columns' types: `($2::text::integer, ...)`. */
export function parameters(target: PgTarget, first: number): string {
  const values = target.key.map((column, index) => `$${first + index}::text::${typeOf(target, column)}`);
  return values.length === 1 ? (values[0] ?? '') : `(${values.join(', ')})`;
}

/** @throws Error for a column that the table does not have. */
export function typeOf(target: PgTarget, column: string): string {
  const found = target.columns.get(column);
  if (found === undefined) throw new Error(`batch: ${target.name} has no column "${column}"`);
  return found.type;
}
