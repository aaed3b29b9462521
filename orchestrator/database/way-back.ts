import { rmSync } from 'node:fs';
import { messageOf, Refusal } from '../lib/errors.ts';
import type { PostgresClient } from './client.ts';
import { quoteIdentifier } from './connection.ts';
import { readProperties } from './facts.ts';
import { createReplacement, markOf, propertyStatements, replacementName, setAsideName } from './swap.ts';

interface Obstacles {
  readonly mayCreate: boolean;
  readonly isOwner: boolean;
  readonly prepared: number;
  readonly slots: number;
  readonly subscriptions: number;
  readonly unlogged: string[];
}

/**
 * Proves that a restore can be walked, before anything is touched: the rights are there, nothing stands in the way
 * of a swap, and a restore without rows works. Leaves nothing behind.
 *
 * @throws Refusal with the fix
 */
export async function proveWayBack(
  client: PostgresClient,
  inDatabase: PostgresClient,
  name: string,
  scratchFile: string,
): Promise<void> {
  const found = await inDatabase.query<Obstacles>(`
    select json_build_object(
      'mayCreate', (select rolcreatedb or rolsuper from pg_roles where rolname = current_user),
      'isOwner', (select pg_has_role(current_user, datdba, 'member') from pg_database where datname = current_database()),
      'prepared', (select count(*) from pg_prepared_xacts where database = current_database()),
      'slots', (select count(*) from pg_replication_slots where database = current_database()),
      'subscriptions', (select count(*) from pg_stat_subscription s join pg_subscription p on p.oid = s.subid
        where p.subdbid = (select oid from pg_database where datname = current_database())),
      'unlogged', coalesce((select json_agg(c.oid::regclass::text) from pg_class c
        where c.relkind = 'r' and c.relpersistence = 'u'), '[]'));`);
  const user = await client.query<string>('select to_json(current_user::text);');
  if (!found.mayCreate) {
    throw new Refusal(
      `cannot prove the way back: the database user "${user}" may not create databases, and a restore makes one`,
      `as the server's administrator: ALTER ROLE ${quoteIdentifier(user)} CREATEDB;  (or name such a user in database.adminUrl)`,
    );
  }
  if (!found.isOwner) {
    throw new Refusal(
      `cannot prove the way back: "${user}" does not own the database "${name}" and could not rename it`,
      `as the server's administrator: ALTER DATABASE ${quoteIdentifier(name)} OWNER TO ${quoteIdentifier(user)};`,
    );
  }
  const stands: [number, string, string][] = [
    [
      found.prepared,
      'prepared transactions are open and would block the restore',
      'commit or roll them back: SELECT gid FROM pg_prepared_xacts;',
    ],
    [
      found.slots,
      'logical replication slots would follow the failed database',
      'drop them before the update: SELECT slot_name FROM pg_replication_slots;',
    ],
    [
      found.subscriptions,
      'subscriptions belong to the database and are not restored',
      'drop them before the update',
    ],
  ];
  for (const [count, why, next] of stands) {
    if (count > 0) throw new Refusal(`cannot prove the way back: ${count} ${why}`, next);
  }
  if (found.unlogged.length > 0) {
    throw new Refusal(
      `cannot prove the way back: unlogged tables are empty after a crash: ${found.unlogged.join(', ')}`,
      `ALTER TABLE ${found.unlogged[0]} SET LOGGED;`,
    );
  }
  await rehearse(client, inDatabase, scratchFile);
}

/**
 * The restore itself, without the rows: an empty database like the live one is made, the schema is dumped and restored
 * into it, it is renamed, and gets the live one's owner, grants and settings in a transaction that is rolled back.
 */
async function rehearse(
  client: PostgresClient,
  inDatabase: PostgresClient,
  scratchFile: string,
): Promise<void> {
  const facts = await readProperties(inDatabase);
  const mark = markOf(facts.name, `try-${process.pid}`);
  const [name, renamed] = [replacementName(mark), setAsideName(mark)];
  const drop = [name, renamed]
    .map((one) => `drop database if exists ${quoteIdentifier(one)} with (force);`)
    .join('\n');
  try {
    await client.execute(drop);
    await createReplacement(client, facts, mark);
    await inDatabase.dump(scratchFile, { schemaOnly: true });
    await client.restore(scratchFile, name);
    await client.execute(`alter database ${quoteIdentifier(name)} rename to ${quoteIdentifier(renamed)};`);
    await client.execute(
      ['begin;', ...propertyStatements({ ...facts, name: renamed }), 'rollback;'].join('\n'),
    );
  } catch (error) {
    throw new Refusal(
      `cannot prove the way back: a restore of the schema into an empty database failed: ${messageOf(error)}`,
      'mend what PostgreSQL says, or name a user with more rights in database.adminUrl',
      error,
    );
  } finally {
    rmSync(scratchFile, { force: true });
    await client.execute(drop);
  }
}
