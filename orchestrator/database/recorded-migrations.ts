import type { PostgresClient } from './client.ts';
import type { AppliedMigration, RecordedDataMigration } from './engine.ts';

/** Schema migrations as Prisma recorded them; empty where it has no table. */
export async function readSchemaMigrations(client: PostgresClient): Promise<AppliedMigration[]> {
  if (!(await hasTable(client, '_prisma_migrations'))) return [];
  return await client.query<AppliedMigration[]>(
    `select coalesce(json_agg(json_build_object('name', migration_name, 'finished', finished_at is not null,
       'rolledBack', rolled_back_at is not null) order by started_at, migration_name), '[]') from _prisma_migrations;`,
  );
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

async function hasTable(client: PostgresClient, name: string): Promise<boolean> {
  return await client.query<boolean>(`select to_json(to_regclass('${name}') is not null);`);
}
