import { Client } from 'pg';
import { describeError, EXIT, Refusal } from './refusal.ts';
import { NO_LIMITS } from './session.ts';
import { nameElsewhere, SESSION_NAME } from './session-name.ts';

/**
 * The two keys of our advisory lock, "hold" and "data" in ASCII. The two-key space is apart from the single-key one in
 * which Prisma holds 72707369 while it deploys schema migrations. See who holds it:
 * `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1752132708 AND objid = 1684108385`
 */
export const LOCK_KEYS = [0x686f6c64, 0x64617461] as const;

/** Held for as long as its own session lives; the server releases it, however this process dies. */
export interface AdvisoryLock {
  /** The session that holds it. */
  readonly client: Client;
  /**
   * Ends every other session of a migration on the server, and waits until they are gone: PostgreSQL would finish and
   * commit a long UPDATE for a process that was killed.
   */
  endMigrations(): Promise<void>;
}

/**
 * Runs `work` while this process alone may run data migrations on the database, and releases the lock after it.
 *
 * @param onLost called when the session that holds the lock breaks: from then on another runner may start
 * @throws Refusal: exit 4 when another runner holds it, exit 1 when the database does not answer.
 */
export async function withAdvisoryLock<T>(
  url: string,
  onLost: (reason: Error) => void,
  work: (lock: AdvisoryLock) => Promise<T>,
): Promise<T> {
  const client = await connect(url);
  client.on('error', onLost);
  try {
    // It stands still for as long as a migration works; older servers do not know all of these.
    await client.query(NO_LIMITS);
    await acquire(client);
    return await work({ client, endMigrations: async () => await endMigrations(client) });
  } finally {
    await client.end().catch(() => {});
  }
}

export async function connect(url: string, timeoutMs = 10_000): Promise<Client> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: timeoutMs,
    keepAlive: true,
    fallback_application_name: 'holdfast-data-migrations',
  });
  try {
    await client.connect();
    return client;
  } catch (error) {
    throw new Refusal(
      EXIT.failed,
      `cannot run the data migrations: the database does not answer (${describeError(error)}). Nothing was changed. Start it, or correct DATABASE_URL`,
      { cause: error },
    );
  }
}

async function endMigrations(client: Client): Promise<void> {
  const { rows: own } = await client.query<{ name: string }>('SELECT current_database() AS name');
  const elsewhere = nameElsewhere(own[0]?.name ?? '');
  for (let round = 0; round < 500; round += 1) {
    const { rows } = await client.query<{ pid: number; role: string; since: string }>(
      `SELECT pid, usename AS role, to_char(backend_start, 'YYYY-MM-DD HH24:MI:SS TZ') AS since FROM pg_stat_activity
       WHERE pid <> pg_backend_pid() AND (starts_with(application_name, $2)
         OR (datname = current_database() AND starts_with(application_name, $1)))`,
      [SESSION_NAME, elsewhere],
    );
    if (rows.length === 0) return;
    for (const { pid, role, since } of rows)
      try {
        await client.query('SELECT pg_terminate_backend($1)', [pid]);
      } catch (error) {
        throw new Refusal(
          EXIT.refused,
          `cannot run the data migrations: one of an earlier run is still at work (database session ${pid} of "${role}", since ${since}), and this user may not end it (${describeError(error)}). Nothing was run. As that user or a superuser: SELECT pg_terminate_backend(${pid})`,
          { cause: error },
        );
      }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function acquire(client: Client): Promise<void> {
  const { rows } = await client.query<{ held: boolean }>('SELECT pg_try_advisory_lock($1, $2) AS held', [
    ...LOCK_KEYS,
  ]);
  if (rows[0]?.held === true) return;
  throw new Refusal(
    EXIT.locked,
    `cannot run the data migrations: ${await describeHolder(client)} is at it. Nothing was changed. Wait for it to end, then try again`,
  );
}

/** True while somebody runs data migrations. */
export async function isLockHeld(client: Client): Promise<boolean> {
  return (await findHolder(client)) !== undefined;
}

interface Holder {
  readonly pid: number;
  readonly name: string;
  readonly since: string;
}

async function findHolder(client: Client): Promise<Holder | undefined> {
  const { rows } = await client.query<Holder>(
    `SELECT l.pid, coalesce(a.application_name, '') AS name, to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS TZ') AS since
       FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
      WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid::bigint = $1 AND l.objid::bigint = $2
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    [...LOCK_KEYS],
  );
  return rows[0];
}

async function describeHolder(client: Client): Promise<string> {
  const holder = await findHolder(client);
  if (holder === undefined) return 'another runner';
  return `another runner (${holder.name || 'unnamed'}, database session ${holder.pid}, since ${holder.since})`;
}
