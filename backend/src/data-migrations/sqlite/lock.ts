import { accessSync, chmodSync, chownSync, constants, existsSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describeError, EXIT, Refusal } from '../refusal.ts';
import { isBusy } from './connection.ts';

/*
 * One runner at a time: it has a write transaction open on a small file beside the database. The kernel frees that
 * however the process dies. (On the database itself it would keep out the migrations, and every service.)
 */

/** Who only looks who holds it is in the way for a moment. */
const PATIENCE_MS = 200;

const lockFile = (file: string): string => `${file}-holdfast-lock`;

/** @throws Refusal: exit 4 when another runner holds it. */
export async function withLockFile<T>(file: string, work: () => Promise<T>): Promise<T> {
  const database = open(file);
  try {
    acquire(database);
    return await work();
  } finally {
    database.close();
  }
}

/** True while some runner is at work. */
export function isLocked(file: string): boolean {
  if (!existsSync(lockFile(file))) return false;
  let database: DatabaseSync | undefined;
  try {
    database = open(file);
    database.exec('BEGIN IMMEDIATE; ROLLBACK');
    return false;
  } catch (error) {
    return isBusy(error);
  } finally {
    database?.close();
  }
}

function open(file: string): DatabaseSync {
  const lock = lockFile(file);
  try {
    const isNew = !existsSync(lock);
    const database = new DatabaseSync(lock, { timeout: PATIENCE_MS });
    // Who may write the one must be able to take the other: root is not the only one who runs migrations.
    const { uid, gid, mode } = statSync(file);
    if (isNew) chmodSync(lock, mode & 0o666);
    if (isNew && process.getuid?.() === 0) chownSync(lock, uid, gid);
    accessSync(lock, constants.R_OK | constants.W_OK);
    return database;
  } catch (error) {
    throw new Refusal(
      EXIT.refused,
      `cannot run the data migrations: ${lock} cannot be opened (${describeError(error)}). Nothing was changed. Run as the user who owns the database`,
      { cause: error },
    );
  }
}

/** Says who it is, durably for others to read, and then holds on. */
function acquire(database: DatabaseSync): void {
  try {
    database.exec('BEGIN IMMEDIATE');
    database.exec(
      'CREATE TABLE IF NOT EXISTS holder (pid INTEGER NOT NULL, since TEXT NOT NULL); DELETE FROM holder',
    );
    database.prepare('INSERT INTO holder VALUES (?, ?)').run(BigInt(process.pid), new Date().toISOString());
    database.exec('COMMIT');
    // Between the two another runner may have come: then it has the lock, and says so itself.
    database.exec('BEGIN IMMEDIATE');
  } catch (error) {
    if (!isBusy(error)) throw error;
    throw new Refusal(
      EXIT.locked,
      `cannot run the data migrations: ${describeHolder(database)} is at it. Nothing was changed. Wait for it to end, then try again`,
    );
  }
}

function describeHolder(database: DatabaseSync): string {
  try {
    const holder = database.prepare('SELECT pid, since FROM holder').get();
    return holder === undefined
      ? 'another runner'
      : `another runner (pid ${Number(holder['pid'])}, since ${String(holder['since'])})`;
  } catch {
    return 'another runner';
  }
}
