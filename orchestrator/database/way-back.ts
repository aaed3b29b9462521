import { rmSync } from 'node:fs';
import { messageOf, Refusal } from '../lib/errors.ts';
import type { PostgresClient } from './client.ts';
import { quoteIdentifier } from './connection.ts';
import type { PostgresFacts } from './database-facts.ts';
import { readProperties } from './facts.ts';
import { verifyNoObstacles } from './obstacles.ts';
import { propertyStatements } from './properties.ts';
import { createReplacement, markOf, replacementName, setAsideName } from './swap.ts';

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
  await verifyNoObstacles(inDatabase, name);
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
  const drop = (one: string) => `drop database if exists ${quoteIdentifier(one)} with (force);`;
  try {
    await createReplacement(client, facts, mark);
    await dumpSchema(inDatabase, scratchFile);
    await client.restore(scratchFile, name);
    await client.execute(
      `${drop(renamed)} alter database ${quoteIdentifier(name)} rename to ${quoteIdentifier(renamed)};`,
    );
    await tryProperties(client, facts, renamed);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(
      `cannot prove the way back: a restore of the schema into an empty database failed: ${messageOf(error)}`,
      'mend what PostgreSQL says, or name a user with more rights in database.adminUrl',
      error,
    );
  } finally {
    rmSync(scratchFile, { force: true });
    await client.execute(`${drop(name)} ${drop(renamed)}`);
  }
}

/** A short wait: the appliance serves, and what waits for a lock makes others wait. */
export async function dumpSchema(inDatabase: PostgresClient, file: string): Promise<void> {
  try {
    await inDatabase.dump(file, { schemaOnly: true, lockWaitMs: 3000 });
  } catch (error) {
    if (!/(lock|statement) timeout/.test(messageOf(error))) throw error;
    const holders = await inDatabase.query<string[]>(holdersSql);
    throw new Refusal(
      `cannot prove the way back: the database cannot be read, since a table is locked${holders.length === 0 ? '' : ` by ${holders.join(', ')}`}`,
      'wait for it to end, or end it: SELECT pg_terminate_backend(PROCESS);',
      error,
    );
  }
}

/** Who keeps a reader out. */
const holdersSql = `
select coalesce(json_agg(distinct format('%s of "%s" (process %s, since %s)',
    coalesce(nullif(a.application_name, ''), 'a session'), a.usename, a.pid, to_char(a.xact_start, 'YYYY-MM-DD HH24:MI'))), '[]')
from pg_locks l join pg_stat_activity a on a.pid = l.pid
where l.mode = 'AccessExclusiveLock' and l.granted and l.locktype = 'relation' and a.pid <> pg_backend_pid()
  and l.database = (select oid from pg_database where datname = current_database());`;

/**
 * Gives a database the live one's properties, in a transaction that is rolled back.
 *
 * @throws Refusal with the statement that PostgreSQL does not let us make
 */
async function tryProperties(client: PostgresClient, facts: PostgresFacts, name: string): Promise<void> {
  const statements = propertyStatements({ ...facts, name });
  const attempt = async (some: readonly string[]) =>
    await client.execute(['begin;', ...some, 'rollback;'].join('\n'));
  try {
    await attempt(statements);
  } catch (error) {
    // The same once more, ever longer, to tell which of them it is.
    for (let count = 1; count <= statements.length; count += 1) {
      try {
        await attempt(statements.slice(0, count));
      } catch (refused) {
        const live = propertyStatements(facts)[count - 1] ?? '';
        throw new Refusal(
          `cannot prove the way back: a restore has to say "${live}", and the database user may not: ${messageOf(refused)}`,
          `name a user who may (a superuser can) in database.adminUrl${undoOf(live)}`,
          refused,
        );
      }
    }
    throw error;
  }
}

/** How a setting that stands in the way is taken away for good. */
function undoOf(statement: string): string {
  const match = /^(alter (?:role|database) .*) set ("(?:[^"]|"")*") to /s.exec(statement);
  return match ? `; or do without it, as the server's administrator: ${match[1]} reset ${match[2]};` : '';
}
