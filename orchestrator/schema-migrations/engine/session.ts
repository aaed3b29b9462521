import { readFile } from 'node:fs/promises';
import type { ConnectionOptions } from 'node:tls';
import { Client, type ClientConfig } from 'pg';
import { connectionError } from './connection-error.ts';
import type { ConnectionSettings } from './connection-url.ts';
import { log } from './log.ts';

/** How long an orphaned statement may run on before the server notices that its client is gone. */
const clientCheckIntervalMs = 1000;

/**
 * Opens one connection, with TLS as the settings ask. Nothing is retried but TLS: `prefer` goes on without it when the
 * server has none.
 *
 * @throws {KnownError} P1000, P1001, P1002, P1003, P1010, P1011, P2037; a plain Error for what has no code.
 */
export async function connect(settings: ConnectionSettings): Promise<Client> {
  const attempts = await tlsAttempts(settings);
  for (const [index, ssl] of attempts.entries()) {
    const client = new Client(clientConfig(settings, ssl));
    // Without a listener an idle connection that the server ends would be an uncaught exception.
    client.on('error', (error) => log('WARN', `database connection: ${error.message}`));
    try {
      await client.connect();
      return client;
    } catch (error) {
      const isLast = index === attempts.length - 1;
      if (isLast || !isTlsRefused(error)) throw connectionError(error, settings);
    }
  }
  throw new Error('unreachable: there is always one attempt');
}

/**
 * Prepares a fresh connection for migrations and returns the server's process id of the session.
 *
 * - `search_path` is the URL's schema alone, as the native engine sets it.
 * - The server looks every second whether we are still there (PostgreSQL 14 and newer), so that a statement whose
 *   client was killed by SIGKILL ends, and with it the session and Prisma's advisory lock 72707369.
 */
export async function prepareSession(client: Client, schema: string): Promise<number> {
  await setSearchPath(client, schema);
  await client
    .query(
      `DO $$ BEGIN
         IF current_setting('server_version_num')::int >= 140000 THEN
           PERFORM set_config('client_connection_check_interval', '${clientCheckIntervalMs}', false);
         END IF;
       END $$`,
    )
    // Not every platform can look; migrations work without.
    .catch((error: unknown) => log('INFO', `no client_connection_check_interval: ${String(error)}`));
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid ?? 0;
}

/** Sets the schema that unqualified names mean, such as `_prisma_migrations`. */
export async function setSearchPath(client: Client, schema: string): Promise<void> {
  await client.query(`SET search_path = ${client.escapeIdentifier(schema)}`);
}

function clientConfig(settings: ConnectionSettings, ssl: ConnectionOptions | false): ClientConfig {
  return {
    port: settings.port,
    connectionTimeoutMillis: settings.connectTimeoutMs,
    ssl,
    keepAlive: true,
    ...(settings.host === undefined ? {} : { host: settings.host }),
    ...(settings.user === undefined ? {} : { user: settings.user }),
    ...(settings.password === undefined ? {} : { password: settings.password }),
    ...(settings.database === undefined ? {} : { database: settings.database }),
    ...(settings.options === undefined ? {} : { options: settings.options }),
    // Left out, the driver takes PGAPPNAME.
    ...(settings.applicationName === undefined ? {} : { application_name: settings.applicationName }),
  };
}

async function tlsAttempts(settings: ConnectionSettings): Promise<(ConnectionOptions | false)[]> {
  const isSocket = settings.host?.startsWith('/') ?? false;
  if (isSocket || settings.tls === 'disable') return [false];
  const authority = settings.certificateAuthorityFile;
  const identity = settings.identityFile;
  const tls: ConnectionOptions = {
    rejectUnauthorized: settings.verifyCertificate,
    ...(authority === undefined ? {} : { ca: await readFile(authority, 'utf8') }),
    ...(identity === undefined ? {} : { pfx: await readFile(identity) }),
    ...(settings.identityPassword === undefined ? {} : { passphrase: settings.identityPassword }),
    ...(settings.verifyHostName ? {} : { checkServerIdentity: () => undefined }),
  };
  return settings.tls === 'prefer' ? [tls, false] : [tls];
}

function isTlsRefused(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const noEncryption = 'code' in error && error.code === '28000'; // pg_hba.conf admits this client without TLS only
  return noEncryption || error.message === 'The server does not support SSL connections';
}
