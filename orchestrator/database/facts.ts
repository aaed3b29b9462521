import { Refusal } from '../lib/errors.ts';
import type { PostgresClient } from './client.ts';
import { quoteIdentifier } from './connection.ts';
import type { DatabaseFacts, PostgresFacts, Role } from './database-facts.ts';
import { compareSqliteContents, compareSqliteProperties } from './sqlite/compare.ts';
import { otherDatabasesSql } from './beyond.ts';
import { rolesSql } from './roles.ts';

/**
 * What a dump does not carry: owner, grants, comment, connection limit, settings of the database and of roles in it,
 * locale. Columns that older servers do not have are read through to_jsonb, which yields null for them.
 */
const propertiesSql = (name: string) => `
select json_build_object(
  'engine', 'postgresql',
  'serverVersion', current_setting('server_version'),
  'systemIdentifier', (select system_identifier::text from pg_control_system()),
  'name', d.datname,
  'oid', d.oid::bigint,
  'owner', pg_get_userbyid(d.datdba),
  'encoding', pg_encoding_to_char(d.encoding),
  'collate', d.datcollate,
  'ctype', d.datctype,
  'localeProvider', case to_jsonb(d) ->> 'datlocprovider' when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end,
  'locale', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
  'tablespace', t.spcname,
  'connectionLimit', d.datconnlimit,
  'comment', shobj_description(d.oid, 'pg_database'),
  'grants', d.datacl::text[],
  'settings', coalesce((select json_agg(json_build_object(
      'role', case when s.setrole = 0 then null else pg_get_userbyid(s.setrole) end,
      'values', s.setconfig) order by s.setrole)
    from pg_db_role_setting s where s.setdatabase = d.oid), '[]'))
from pg_database d join pg_tablespace t on t.oid = d.dattablespace
where d.datname = ${name}`;

const relationsSql = `
select json_build_object(
  'tables', coalesce((select json_agg(json_build_array(n.nspname, c.relname) order by n.nspname, c.relname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'), '[]'),
  'sequences', coalesce((select json_agg(json_build_object(
      'name', schemaname || '.' || sequencename, 'lastValue', last_value::text) order by schemaname, sequencename)
    from pg_sequences), '[]'))`;

/** What belongs to the database itself, without looking into it. */
export async function readProperties(client: PostgresClient): Promise<PostgresFacts> {
  const properties = await client.query<Omit<PostgresFacts, 'tables' | 'sequences'>>(
    `${propertiesSql('current_database()')};`,
  );
  return { ...properties, tables: [], sequences: [] };
}

/**
 * Everything a manifest says of the database that the client is connected to.
 *
 * @param name the one that it has outside the window
 */
export async function readFacts(client: PostgresClient, name: string): Promise<PostgresFacts> {
  // A psql takes its time to start, and the appliance stands still: everything but the rows at once.
  const { properties, relations, roles, otherDatabases } = await client.query<{
    properties: Omit<PostgresFacts, 'tables' | 'sequences'>;
    relations: { tables: [string, string][]; sequences: PostgresFacts['sequences'] };
    roles: Role[];
    otherDatabases: string[];
  }>(
    `select json_build_object('properties', (${propertiesSql('current_database()')}),
       'relations', (${relationsSql}), 'roles', (${rolesSql}),
       'otherDatabases', (${otherDatabasesSql}));`,
  );
  const tables = await countRows(client, relations.tables);
  return { ...properties, name, roles, otherDatabases, tables, sequences: relations.sequences };
}

async function countRows(
  client: PostgresClient,
  tables: readonly [string, string][],
): Promise<{ name: string; rows: number }[]> {
  if (tables.length === 0) return [];
  const counts = tables.map(
    ([schema, table]) => `(select count(*) from ${quoteIdentifier(schema)}.${quoteIdentifier(table)})`,
  );
  // One statement, one snapshot of the data; arrays because a SELECT list ends at 1,664 columns.
  const rows = await client.query<number[]>(`select to_json(array[${counts.join(',\n')}]);`, {
    timeoutMs: 3_600_000,
  });
  return tables.map(([schema, table], index) => ({ name: `${schema}.${table}`, rows: rows[index] ?? -1 }));
}

/** What differs between two descriptions, as lines for the operator; empty when they agree. */
export function compareFacts(before: DatabaseFacts, after: DatabaseFacts): string[] {
  return [...compareProperties(before, after), ...compareContents(before, after)];
}

/** What belongs to the database itself. */
export function compareProperties(before: DatabaseFacts, after: DatabaseFacts): string[] {
  if (before.engine === 'postgresql' && after.engine === 'postgresql')
    return comparePostgresProperties(before, after);
  if (before.engine === 'sqlite' && after.engine === 'sqlite') return compareSqliteProperties(before, after);
  return [`the database is of ${after.engine}, and was of ${before.engine}`];
}

function comparePostgresProperties(before: PostgresFacts, after: PostgresFacts): string[] {
  const differences: string[] = [];
  const keys = [
    ...(['owner', 'encoding', 'collate', 'ctype', 'localeProvider', 'locale', 'tablespace'] as const),
    ...(['connectionLimit', 'comment'] as const),
  ];
  for (const key of keys) {
    if (before[key] !== after[key])
      differences.push(`database ${key}: ${String(before[key])} became ${String(after[key])}`);
  }
  const text = (value: unknown) => JSON.stringify(value);
  // No grants at all (null) are PostgreSQL's defaults; an empty list is that everything was revoked.
  if (text(before.grants?.toSorted() ?? null) !== text(after.grants?.toSorted() ?? null))
    differences.push('database grants differ');
  if (text(before.settings) !== text(after.settings)) differences.push('database settings differ');
  return differences;
}

/** What the operator must hear of a database that is no reason to refuse anything. */
export function remarksOn(facts: DatabaseFacts): string[] {
  if (facts.engine !== 'sqlite') return [];
  return facts.brokenReferences.map(({ name, rows }) =>
    rows === -1
      ? `${name} has a foreign key to columns that are neither a primary key nor unique, so whether its rows refer to any is not known; the snapshot holds them as they are`
      : `${rows} rows of ${name} refer to rows that are not there (PRAGMA foreign_key_check lists them); the snapshot holds them as they are`,
  );
}

/** What is in it: tables with their rows, sequences. */
export function compareContents(before: DatabaseFacts, after: DatabaseFacts): string[] {
  const differences =
    before.engine === 'sqlite' && after.engine === 'sqlite' ? compareSqliteContents(before, after) : [];
  compareMaps(
    'table',
    new Map(before.tables.map((t) => [t.name, `${t.rows} rows`])),
    new Map(after.tables.map((t) => [t.name, `${t.rows} rows`])),
    differences,
  );
  if (before.engine === 'postgresql' && after.engine === 'postgresql')
    compareMaps(
      'sequence',
      new Map(before.sequences.map((s) => [s.name, String(s.lastValue)])),
      new Map(after.sequences.map((s) => [s.name, String(s.lastValue)])),
      differences,
    );
  return differences;
}

function compareMaps(
  what: string,
  before: Map<string, string>,
  after: Map<string, string>,
  differences: string[],
): void {
  for (const [name, value] of before) {
    const now = after.get(name);
    if (now === undefined) differences.push(`${what} ${name} is gone`);
    else if (now !== value) differences.push(`${what} ${name}: ${value} became ${now}`);
  }
  for (const name of after.keys()) if (!before.has(name)) differences.push(`${what} ${name} was added`);
}

/** @throws Refusal for what another engine made */
export function ofPostgres(facts: DatabaseFacts): PostgresFacts {
  if (facts.engine === 'postgresql') return facts;
  throw new Refusal(
    'the snapshot holds a database of SQLite, and this appliance has one of PostgreSQL',
    'choose a snapshot that was made since: ./run.sh backup list',
  );
}
