import { waitFor } from '../lib/wait.ts';
import type { PostgresClient } from './client.ts';
import { quoteLiteral } from './connection.ts';

/**
 * Ends every session on a database but our own. Autovacuum is left alone: it gives way to a rename by itself, and only
 * a superuser may end it. May be run twice.
 *
 * @throws CommandError if one of them is not ours to end
 */
export async function endSessions(client: PostgresClient, name: string): Promise<void> {
  await client.execute(endSessionsSql(name));
}

/** The same as a statement, for one psql with others. */
export function endSessionsSql(name: string): string {
  return `select pg_terminate_backend(pid) from pg_stat_activity
    where datname = ${quoteLiteral(name)} and pid <> pg_backend_pid() and usesysid is not null;`;
}

/**
 * Ends every session that came over TCP, and waits until they are gone: one that is in the middle of a statement may
 * still commit it, and what is read next must be what stays. May be run twice.
 *
 * @throws Error if one of them does not end
 */
export async function endSessionsOverTcp(client: PostgresClient): Promise<void> {
  const gone = await waitFor(
    async () =>
      (await client.query<number>(
        `select to_json(count(pg_terminate_backend(pid))) from pg_stat_activity
         where client_addr is not null and pid <> pg_backend_pid();`,
      )) === 0
        ? true
        : undefined,
    { timeoutMs: 30_000, everyMs: 20 },
  );
  if (!gone) throw new Error('sessions on the database do not end');
}
