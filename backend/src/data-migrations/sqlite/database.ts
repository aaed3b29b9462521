import { DatabaseSync } from 'node:sqlite';
import { sqliteFile } from '../database-url.ts';
import type { Database } from '../database.ts';
import { EXIT, Refusal } from '../refusal.ts';
import { LEASE_SECONDS, type Row } from '../store.ts';
import { openFile, whenFree } from './connection.ts';
import { tryOnCopy } from './dry-run.ts';
import { isLocked, withLockFile } from './lock.ts';
import { readTable, sqliteStore } from './store.ts';
import { endLeftovers, realFile } from './users.ts';

/** A SQLite file, as the engine needs it. */
export function sqliteDatabase(url: string): Database {
  if (!('setAuthorizer' in DatabaseSync.prototype))
    throw new Refusal(
      EXIT.refused,
      `cannot run the data migrations: on SQLite they need Node.js 24.10 or newer, and this is ${process.version}. Install that, or set HOLDFAST_NODE to its path`,
    );
  const file = realFile(sqliteFile(url));
  return {
    async readRows(timeoutMs) {
      const database = await whenFree(file, () => openFile(file), timeoutMs);
      try {
        const rows = await whenFree(file, () => readTable(database), timeoutMs);
        const isHeld = isLocked(file);
        return rows?.map((row) => (isHeld ? alive(row) : { ...row, leaseUntil: null }));
      } finally {
        database.close();
      }
    },
    async withLock(_, work) {
      const database = await whenFree(file, () => openFile(file));
      try {
        return await withLockFile(
          file,
          async () =>
            await work({
              store: sqliteStore(database, file),
              endMigrations: async () => await endLeftovers(file),
            }),
        );
      } finally {
        database.close();
      }
    },
    tryOut: async (job, run) => await tryOnCopy(file, job, run),
  };
}

/** Its runner holds the lock, and may be kept from saying so in the table by the very migration. */
function alive(row: Row): Row {
  if (row.state !== 'RUNNING') return row;
  return { ...row, leaseUntil: new Date(Date.now() + LEASE_SECONDS * 1000) };
}
