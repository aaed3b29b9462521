import type { Client } from 'pg';
import { quote } from './identifiers.ts';
import { EXIT, Refusal } from './refusal.ts';
import { schemaOf } from './session-settings.ts';

/*
 * Whose the records of a database are: of the appliance in one of its schemas (`?schema=`), since the tables in
 * "holdfast" are one for all; and what the schema migrations had done there before the first data migration could run.
 */

/** The one of Prisma's, where the address names none. */
const schemaIn = (url: string): string => schemaOf(url) ?? 'public';

const isThere = async (client: Client, table: string): Promise<boolean> =>
  (await client.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [table])).rows[0]
    ?.there === true;

/** @throws Refusal (exit 2) where the records are those of an appliance in another schema */
export async function verifyHome(client: Client, url: string): Promise<void> {
  if (!(await isThere(client, 'holdfast.data_migration_home'))) return;
  const { rows } = await client.query<{ schema: string }>('SELECT schema FROM holdfast.data_migration_home');
  const [home] = rows;
  const own = schemaIn(url);
  if (home === undefined || home.schema === own) return;
  throw new Refusal(
    EXIT.refused,
    `cannot run the data migrations: the records in this database are those of the appliance in its schema "${home.schema}", and this one is in "${own}" (?schema= of DATABASE_URL). Nothing was run. Give each appliance a database of its own; if it is the same one, whose schema was renamed: UPDATE holdfast.data_migration_home SET schema = '${own.replaceAll("'", "''")}'`,
  );
}

/**
 * Writes down whose the records are, where nobody did yet. May be run twice; within a transaction. Where this user may
 * not make the table, there is none.
 *
 * @param isFirst no data migration was ever recorded here
 */
export async function claimHome(client: Client, url: string, isFirst: boolean): Promise<void> {
  if (await isThere(client, 'holdfast.data_migration_home')) return;
  const applied = isFirst ? await readApplied(client, schemaIn(url)) : [];
  await client.query('SAVEPOINT home');
  try {
    await client.query(
      'CREATE TABLE holdfast.data_migration_home (schema text NOT NULL, applied_before text[] NOT NULL)',
    );
    await client.query('INSERT INTO holdfast.data_migration_home VALUES ($1, $2)', [schemaIn(url), applied]);
    await client.query('RELEASE SAVEPOINT home');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === '42501')) throw error;
    await client.query('ROLLBACK TO SAVEPOINT home');
  }
}

/** True for a schema migration that was there before any data migration: a new installation has all of its release. */
export async function wasAppliedBefore(client: Client, name: string): Promise<boolean> {
  if (!(await isThere(client, 'holdfast.data_migration_home'))) return false;
  const { rowCount } = await client.query(
    'SELECT FROM holdfast.data_migration_home WHERE $1 = ANY (applied_before)',
    [name],
  );
  return (rowCount ?? 0) > 0;
}

async function readApplied(client: Client, schema: string): Promise<string[]> {
  const table = `${quote.name(schema)}._prisma_migrations`;
  if (!(await isThere(client, table))) return [];
  const { rows } = await client.query<{ name: string }>(
    `SELECT migration_name AS name FROM ${table} WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL`,
  );
  return rows.map(({ name }) => name);
}
