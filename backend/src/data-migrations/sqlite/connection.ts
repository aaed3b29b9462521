import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseDuration } from '../limits.ts';
import { describeError, EXIT, Refusal } from '../refusal.ts';
import { describeUsers } from './users.ts';

/*
 * Node's own SQLite, and in no process another one beside it: two libraries that have one file open undo each other's
 * locks on it (sqlite.org/howtocorrupt.html, 2.2.1).
 */

const BUSY = 5;
const POLL_MS = 20;

/** How long somebody else may hold the file, in milliseconds. */
function patienceMs(): number {
  return parseDuration(process.env['DATA_MIGRATION_BUSY_TIMEOUT'] || '30s', 'DATA_MIGRATION_BUSY_TIMEOUT');
}

/**
 * Opens a file that is there; none is made.
 *
 * @throws Refusal (exit 1) when it is missing or no database.
 */
export function openFile(file: string): DatabaseSync {
  const url = pathToFileURL(file);
  url.searchParams.set('mode', 'rw');
  let problem = `there is no file ${file}`;
  if (existsSync(file))
    try {
      // Nobody waits in here, where the process could not hear that it is to stop: see whenFree.
      const database = new DatabaseSync(url, { timeout: 0 });
      // It is read at the first statement only.
      database.prepare('SELECT 1 FROM sqlite_schema').get();
      return database;
    } catch (error) {
      if (isBusy(error)) throw error;
      problem = `${file}: ${describeError(error)}`;
    }
  throw new Refusal(
    EXIT.failed,
    `cannot run the data migrations: the database does not answer (${problem}). Nothing was changed. Run the schema migrations first, or correct DATABASE_URL`,
  );
}

/** True when another process has the file locked, and may let it go. */
export function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === BUSY;
}

/**
 * Does it as soon as nobody else holds the file. Only for what leaves nothing done when the file is locked: a statement by
 * itself, BEGIN, COMMIT.
 *
 * @throws Error that says who has it open, when that took too long
 */
export async function whenFree<T>(
  file: string,
  work: () => T | Promise<T>,
  waitMs: number = patienceMs(),
): Promise<T> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (performance.now() >= deadline)
        throw new Error(`the database is locked: ${describeUsers(file)}`, { cause: error });
    }
    await sleep(POLL_MS);
  }
}
