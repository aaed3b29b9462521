import { messageOf } from '../../lib/errors.ts';
import { type Client, DatabaseError } from 'pg';
import { KnownError, knownCodeOf } from './errors.ts';
import type { ConnectionSettings } from './connection-url.ts';
import { connect } from './session.ts';

/** Databases from which another can be made, in the order tried. Source: the native engine's list. */
const maintenanceDatabases = ['postgres', 'template1', 'defaultdb'];

/**
 * Creates the database that the settings name, and the schema in it.
 *
 * @throws {KnownError} P1009 when it exists; P1001 and its like when the server cannot be asked.
 */
export async function createDatabase(settings: ConnectionSettings): Promise<string> {
  const name = nameOf(settings);
  await withMaintenanceConnection(settings, async (client) => {
    await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`).catch((error: unknown) => {
      // 23505: two creations at once meet in the catalogue's index.
      if (!hasSqlState(error, '42P04', '23505')) throw error;
      throw new KnownError('P1009', `Database \`${name}\` already exists on the database server`);
    });
  });
  await withConnection(settings, async (client) => {
    await client.query(`CREATE SCHEMA IF NOT EXISTS ${client.escapeIdentifier(settings.schema)}`);
  });
  return name;
}

/**
 * Drops the database that the settings name. It must be there, and nobody may be connected to it.
 *
 * @throws {Error} with the server's words.
 */
export async function dropDatabase(settings: ConnectionSettings): Promise<void> {
  await withMaintenanceConnection(settings, async (client) => {
    await client.query(`DROP DATABASE ${client.escapeIdentifier(nameOf(settings))}`);
  });
}

/** Opens a connection for as long as the work takes. */
export async function withConnection<T>(
  settings: ConnectionSettings,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = await connect(settings);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Works on a database that is not the one in the settings, for what cannot be done from inside it. */
export async function withMaintenanceConnection<T>(
  settings: ConnectionSettings,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  for (const database of maintenanceDatabases) {
    const client = await connect({ ...settings, database }).catch((error: unknown) => {
      // Not there, or closed to this user: try the next.
      if (['P1003', 'P1010'].includes(knownCodeOf(error) ?? '')) return undefined;
      throw error;
    });
    if (client === undefined) continue;
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }
  throw new KnownError(
    'P3000',
    `Failed to create database: Prisma could not connect to a default database (${maintenanceDatabases.join(', ')}), it cannot create the specified database.`,
  );
}

function nameOf(settings: ConnectionSettings): string {
  if (settings.database !== undefined) return settings.database;
  throw new KnownError('P1013', 'The provided database string is invalid: it names no database.');
}

function hasSqlState(error: unknown, ...states: string[]): boolean {
  return error instanceof DatabaseError && states.includes(error.code ?? '') && messageOf(error) !== '';
}
