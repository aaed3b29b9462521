import { HoldfastError, messageOf, NotRestoredError, Refusal } from '../lib/errors.ts';
import { parseMajorVersion } from '../tools/postgres.ts';
import type { PostgresClient } from './client.ts';
import type { PostgresClients } from './clients.ts';
import type { PostgresFacts } from './database-facts.ts';

/** @throws Refusal when the server does not answer, or pg_dump is older than it and does not understand it */
export async function verifyDumpIsNewEnough(clients: PostgresClients): Promise<void> {
  try {
    await compareVersions(clients);
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    throw new Refusal(
      `cannot reach the database: ${messageOf(error)}`,
      'start the database server, then try again',
      error,
    );
  }
}

async function compareVersions(clients: PostgresClients): Promise<void> {
  const server = await (
    await clients.maintenance()
  ).query<number>("select current_setting('server_version_num')::int / 10000;");
  const { stdout } = await clients.runtime.run({
    file: `${await clients.server.bin()}/pg_dump`,
    args: ['--version'],
  });
  const client = parseMajorVersion(stdout);
  if (client < server) {
    throw new Refusal(
      `cannot back up the database: pg_dump is version ${client}, the server is version ${server}`,
      `sudo apt-get install -y postgresql-client-${server}`,
    );
  }
}

/** @throws NotRestoredError before anything is touched, where another server answers than the facts are of */
export async function verifySameServer(client: PostgresClient, facts: PostgresFacts): Promise<void> {
  const here = await client.query<string>(
    'select to_json(system_identifier::text) from pg_control_system();',
  );
  if (here === facts.systemIdentifier) return;
  throw new NotRestoredError(
    'the snapshot was made on another database server than the one that answers now',
    {
      next: 'make the former server answer again; nothing was touched',
    },
  );
}

/**
 * What a restore of the database takes on the disk of a server of our own. It writes its rows twice, once into the log; the
 * log is cut back when it reaches max_wal_size. The rest of the half is what building the biggest index takes meanwhile.
 */
export async function readRoomForRestore(client: PostgresClient): Promise<{ bytes: number; files: number }> {
  return await client.query<{ bytes: number; files: number }>(
    `with measured as (select pg_database_size(current_database()) * 1.5 as bytes)
     select json_build_object('bytes', ceil(bytes + least(bytes, pg_size_bytes(current_setting('max_wal_size')))),
       'files', (select 3 * count(*) from pg_class)) from measured;`,
  );
}
