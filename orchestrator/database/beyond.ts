import type { PostgresClient } from './client.ts';
import type { PostgresFacts } from './database-facts.ts';
import { findRolesMadeSince } from './roles.ts';

/*
 * A migration may drop any database that its role owns. A snapshot holds the appliance's own: what became of the others
 * can only be told.
 */

/** What a restore neither takes away nor brings back. */
export interface Beyond {
  /** What came, each as a sentence. */
  readonly leftOver: readonly string[];
  /** What is gone and no snapshot holds, by name. */
  readonly gone: readonly string[];
}

/** Without those that updates make and rename for a while, of any appliance, and without what a server has by itself. */
export const otherDatabasesSql = `
select coalesce(json_agg(datname order by datname), '[]') from pg_database
where datname <> current_database() and datname !~ '^hf_' and not datistemplate and datname <> 'postgres'`;

/** As `Database.findBeyond`. */
export async function findBeyond(
  client: PostgresClient,
  { roles, otherDatabases }: PostgresFacts,
): Promise<Beyond> {
  return {
    leftOver: await findRolesMadeSince(client, roles),
    gone: await findDatabasesGoneSince(client, otherDatabases),
  };
}

/** Databases that are gone from the server, and were there. Older snapshots do not say which there were. */
async function findDatabasesGoneSince(
  client: PostgresClient,
  before: readonly string[] | undefined,
): Promise<string[]> {
  if (!before || before.length === 0) return [];
  const there = new Set(await client.query<string[]>(`${otherDatabasesSql};`));
  return before.filter((name) => !there.has(name));
}
