import { randomUUID } from 'node:crypto';
import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils';
import { messageOf } from '../../lib/errors.ts';
import { adapterOf, type OnScriptError } from './adapter.ts';
import { addressOf, parseConnectionUrl, type ConnectionSettings } from './connection-url.ts';
import { withMaintenanceConnection } from './databases.ts';
import { EngineSession } from './engine-session.ts';
import { KnownError, knownCodeOf } from './errors.ts';

/**
 * An adapter on an empty database in which a migration history is replayed: `migrate dev`, `migrate diff --from-migrations`.
 * The one named by `shadowDatabaseUrl` is emptied first; otherwise one is created, and dropped with the adapter.
 *
 * Not that of `@prisma/adapter-pg` 7.10: with a connection string its "shadow" is the main database, as the string's
 * database wins over the one it adds, and it drops the shadow while still connected to it.
 *
 * @throws {KnownError} P3014 when the user may not create one, or P1001 and its like.
 */
export async function openShadowDatabase(
  main: ConnectionSettings | undefined,
  shadowUrl: string | undefined,
  onScriptError: OnScriptError,
): Promise<SqlDriverAdapter> {
  if (shadowUrl !== undefined)
    return await openGivenShadow(parseConnectionUrl(shadowUrl), main, onScriptError);
  if (main === undefined)
    throw new Error('cannot replay migrations: neither url nor shadowDatabaseUrl is set');

  const database = `prisma_migrate_shadow_db_${randomUUID()}`;
  await createShadow(main, database);
  const drop = async (): Promise<void> =>
    await withMaintenanceConnection(main, async (client) => {
      await client.query(`DROP DATABASE ${client.escapeIdentifier(database)}`);
    });
  try {
    const session = await EngineSession.open({ ...main, database });
    const end = async (): Promise<void> => {
      await session.end();
      await drop();
    };
    return await adapterOf(session, { onScriptError, end });
  } catch (error) {
    await drop();
    throw error;
  }
}

async function createShadow(main: ConnectionSettings, database: string): Promise<void> {
  try {
    await withMaintenanceConnection(main, async (client) => {
      await client.query(`CREATE DATABASE ${client.escapeIdentifier(database)}`);
    });
  } catch (error) {
    if (knownCodeOf(error) !== undefined) throw error;
    const text = `Prisma Migrate could not create the shadow database. Please make sure the database user has permission to create databases. Read more about the shadow database (and workarounds) at https://pris.ly/d/migrate-shadow\n\nOriginal error: ${messageOf(error)}`;
    throw new KnownError('P3014', text, { cause: error });
  }
}

async function openGivenShadow(
  shadow: ConnectionSettings,
  main: ConnectionSettings | undefined,
  onScriptError: OnScriptError,
): Promise<SqlDriverAdapter> {
  if (main !== undefined && addressOf(main) === addressOf(shadow) && main.database === shadow.database) {
    throw new Error(
      'cannot use this shadow database: it is the main one, and would be emptied. Name another in shadowDatabaseUrl.',
    );
  }
  const session = await EngineSession.open(shadow);
  const schema = session.client.escapeIdentifier(shadow.schema);
  await session.client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE; CREATE SCHEMA ${schema}`);
  return await adapterOf(session, { onScriptError });
}
