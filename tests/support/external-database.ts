import { startPostgres, type PostgresServer } from '../fixtures/schema-engine/postgres-server.ts';
import type { ExternalDatabase } from './ledger.ts';

/**
 * A server that somebody else runs, with the database "ledger". It belongs to the role "app", which is no superuser
 * and may create databases: what Holdfast asks for, and no more.
 */
export async function startExternal(): Promise<{ server: PostgresServer; database: ExternalDatabase }> {
  const server = await startPostgres(['wal_level=logical', 'max_prepared_transactions=4']);
  await server.query('postgres', 'create role app login createdb');
  await server.query('postgres', 'create database ledger owner app');
  const adminUrl = server.url('ledger');
  return { server, database: { adminUrl, url: adminUrl.replace('postgres@', 'app@') } };
}
