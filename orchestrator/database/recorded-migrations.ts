import type { PostgresClient } from './client.ts';
import { quoteIdentifier, quoteLiteral } from './connection.ts';
import type { AppliedMigration, RecordedDataMigration, SchemaInspection } from './engine.ts';

/** Schema migrations as Prisma recorded them; empty where it has no table. */
export async function readSchemaMigrations(client: PostgresClient): Promise<AppliedMigration[]> {
  if (!(await hasTable(client, '_prisma_migrations'))) return [];
  return await client.query<AppliedMigration[]>(
    `select coalesce(json_agg(json_build_object('name', migration_name, 'finished', finished_at is not null,
       'rolledBack', rolled_back_at is not null, 'checksum', checksum, 'startedAt', started_at, 'log', nullif(logs, ''))
       order by started_at, migration_name), '[]') from _prisma_migrations;`,
  );
}

/** What takes migrations back, in this order, and Prisma's record of each with it. */
export function revertSql(migrations: readonly { readonly name: string; readonly sql: string }[]): string {
  return migrations
    .map(
      ({ name, sql }) =>
        `${sql}\n;\ndelete from _prisma_migrations where migration_name = ${quoteLiteral(name)};\n`,
    )
    .join('');
}

/** Data migrations as the data-migration engine recorded them; undefined where it has no table. */
export async function readDataMigrations(
  client: PostgresClient,
): Promise<RecordedDataMigration[] | undefined> {
  if (!(await hasTable(client, 'holdfast.data_migrations'))) return undefined;
  return await client.query<RecordedDataMigration[]>(
    `select coalesce(json_agg(json_build_object('id', id, 'state', state, 'exported', exported_at is not null)
       order by id), '[]') from holdfast.data_migrations;`,
  );
}

/** The key of the advisory lock that `prisma migrate` takes: prisma-engines, `acquire_lock` of its PostgreSQL flavour. */
const prismaLock = 72707369;

/** Below this size the rows of a table are counted, above it the planner's estimate is taken. */
const countedBytes = 16 * 1024 * 1024;

/** Looks only, waits for nobody, and reads for five seconds at most. */
export async function inspectSchema(client: PostgresClient): Promise<SchemaInspection> {
  const found = await client
    .query<Omit<SchemaInspection, 'hasMigrationsTable'>>(
      impatient(inspectionSql('pg_total_relation_size(c.oid)')),
    )
    // By the catalog alone, which nobody locks.
    .catch(
      async () =>
        await client.query<Omit<SchemaInspection, 'hasMigrationsTable'>>(
          inspectionSql('c.relpages::bigint * 8192'),
        ),
    );
  const small = found.tables.filter(({ bytes }) => bytes < countedBytes);
  const counts = small.map(
    ({ schema, name }) => `(select count(*) from ${quoteIdentifier(schema)}.${quoteIdentifier(name)})`,
  );
  const rows =
    counts.length === 0
      ? []
      : await client
          .query<number[]>(impatient(`select to_json(array[${counts.join(',')}]);`))
          .catch(() => []);
  const counted = new Map(small.map((table, index) => [table, rows[index]]));
  return {
    ...found,
    // Only what was counted is empty for sure.
    tables: found.tables.map((table) => ({ ...table, rows: counted.get(table) ?? Math.max(1, table.rows) })),
    hasMigrationsTable: await hasTable(client, '_prisma_migrations'),
  };
}

/** A table that somebody has locked is not waited for: it would be for nothing but a remark. */
const impatient = (sql: string) => `set lock_timeout = '500ms'; set statement_timeout = '5s'; ${sql}`;

const inspectionSql = (bytes: string) => `
select json_build_object(
  'tables', (select coalesce(json_agg(json_build_object('schema', n.nspname, 'name', c.relname,
      'rows', greatest(c.reltuples::bigint, (select n_live_tup from pg_stat_user_tables s where s.relid = c.oid), 0),
      'bytes', ${bytes},
      'indexes', (select count(*) from pg_index i where i.indrelid = c.oid)) order by n.nspname, c.relname), '[]')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'holdfast')
      and n.nspname !~ '^pg_(toast|temp)' and c.relname <> '_prisma_migrations'),
  'lockHolders', (select coalesce(json_agg(format('%s of "%s" (process %s, since %s)',
      coalesce(nullif(a.application_name, ''), 'a session'), a.usename, a.pid, to_char(a.backend_start, 'YYYY-MM-DD HH24:MI'))), '[]')
    from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and l.objid = ${prismaLock}
      and l.database = (select oid from pg_database where datname = current_database())));`;

async function hasTable(client: PostgresClient, name: string): Promise<boolean> {
  return await client.query<boolean>(`select to_json(to_regclass('${name}') is not null);`);
}
