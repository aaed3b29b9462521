import type { PostgresClient } from './client.ts';
import { quoteLiteral } from './connection.ts';

/**
 * Ends every session on a database but our own. Autovacuum is left alone: it gives way to a rename by itself, and only
 * a superuser may end it. May be run twice.
 *
 * @throws CommandError if one of them is not ours to end
 */
export async function endSessions(client: PostgresClient, name: string): Promise<void> {
  await client.execute(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = ${quoteLiteral(name)} and pid <> pg_backend_pid() and usesysid is not null;`,
  );
}
