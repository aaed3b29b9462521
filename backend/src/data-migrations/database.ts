import { isSqlite } from './database-url.ts';
import type { Done, Job } from './protocol.ts';
import { postgresStore, readRows, type Row, type Store } from './store.ts';

/** Held by one runner at a time, and gone with its process, however that ends. */
export interface MigrationLock {
  readonly store: Store;
  /** Ends whatever a migration, ours or a killed runner's, left at work on the database, and waits until it is gone. */
  endMigrations(): Promise<void>;
}

/** What the engine needs of the database that the migrations are for. */
export interface Database {
  /**
   * What it remembers; undefined where it never ran any.
   *
   * @throws Refusal when it does not answer, within so many milliseconds
   */
  readRows(timeoutMs?: number): Promise<Row[] | undefined>;
  /**
   * Runs `work` while this process alone may run data migrations on it.
   *
   * @param onLost called when the lock is lost: from then on another runner may start
   * @throws Refusal: exit 4 when another runner holds it, exit 1 when the database does not answer.
   */
  withLock<T>(onLost: (reason: Error) => void, work: (lock: MigrationLock) => Promise<T>): Promise<T>;
  /** Has a job of a dry run done where it changes nothing, and says what it would change. */
  tryOut(job: Job, run: (job: Job) => Promise<Done>): Promise<Done>;
}

/** @param url as `readDatabaseUrl` gives it */
export async function databaseAt(url: string): Promise<Database> {
  if (isSqlite(url)) return (await import('./sqlite/database.ts')).sqliteDatabase(url);
  const { connect, isLockHeld, withAdvisoryLock } = await import('./advisory-lock.ts');
  return {
    async readRows(timeoutMs) {
      const client = await connect(url, timeoutMs);
      try {
        const rows = await readRows(client, url);
        // Whoever runs one holds the lock: without it nobody does, whatever a lease says.
        const isHeld = rows?.some(({ state }) => state === 'RUNNING') === true && (await isLockHeld(client));
        return isHeld ? rows : rows?.map((row) => ({ ...row, leaseUntil: null }));
      } finally {
        await client.end();
      }
    },
    withLock: async (onLost, work) =>
      await withAdvisoryLock(
        url,
        onLost,
        async ({ client, endMigrations }) => await work({ store: postgresStore(client, url), endMigrations }),
      ),
    // Its transaction is taken back by the server.
    tryOut: async (job, run) => await run(job),
  };
}
