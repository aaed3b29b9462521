import { existsSync, readFileSync } from 'node:fs';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import type { PostgresClient } from './client.ts';
import { quoteIdentifier, quoteLiteral } from './connection.ts';
import { endSessions } from './sessions.ts';
import { setAsideName } from './swap.ts';

/*
 * The fence on a server that is not ours: for the window the database goes by a name that only the run knows. Others
 * that reconnect find none by the name they know. It is renamed back when our own services start, since a rename wants
 * no session on it; from there to the commit only the gate keeps requests away.
 */

/** The name for the window. It is also a name of what was set aside, should a restore find it there. */
export const windowName = (mark: string) => `${setAsideName(mark)}_win`;

/** What says, beside the server, that the database may go by another name: written before the rename. */
interface Intent {
  readonly windowName: string;
}

export function announceFence(file: string, name: string): void {
  writeFileAtomic(file, `${JSON.stringify({ windowName: name } satisfies Intent)}\n`);
}

/** The announced name, or undefined while there is no fence. */
export function announcedName(file: string): string | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Intent).windowName : undefined;
}

export async function databaseExists(client: PostgresClient, name: string): Promise<boolean> {
  return await client.query<boolean>(
    `select to_json(exists(select from pg_database where datname = ${quoteLiteral(name)}));`,
  );
}

/**
 * Gives a database another name. Who reconnects in a loop loses: nobody is let in from before the sessions are ended
 * until after the rename.
 */
export async function renameDatabase(client: PostgresClient, from: string, to: string): Promise<void> {
  await client.execute(`alter database ${quoteIdentifier(from)} with allow_connections false;`);
  await endSessions(client, from);
  await client.execute(`alter database ${quoteIdentifier(from)} rename to ${quoteIdentifier(to)};`);
  await client.execute(`alter database ${quoteIdentifier(to)} with allow_connections true;`);
}
