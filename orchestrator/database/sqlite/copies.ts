import { chmodSync, closeSync, constants, copyFileSync, fsyncSync, openSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { fsyncDirectory } from '../../lib/atomic-file.ts';
import { checkSealed, readProperties, type Contents } from './contents.ts';
import { openLive } from './open.ts';
import { companionsOf } from './places.ts';

/**
 * Copies a database page by page, by SQLite's own backup, and checks the copy. Not VACUUM INTO: that gives rows of tables
 * without a key of their own other numbers, and a restore is to bring back what was there.
 *
 * @returns what is in the copy: whatever others write meanwhile, it is what the copy holds
 * @throws Error that names what is damaged
 */
export async function backUp(file: string, to: string): Promise<Contents> {
  for (const path of [to, ...companionsOf(to)]) rmSync(path, { force: true });
  const database = openLive(file);
  let journalMode: string;
  try {
    journalMode = readProperties(database, false).journalMode;
    // All pages at one go: between steps others could write, and it would begin anew.
    await backup(database, to, { rate: 0x7fff_ffff });
  } finally {
    database.close();
  }
  chmodSync(to, 0o600);
  fsyncFile(to);
  fsyncDirectory(dirname(to));
  return { ...checkSealed(to, 'the database is damaged'), journalMode };
}

/** A copy of a sealed one, durable; blocks are shared where the file system can. */
export function copySealed(from: string, to: string): void {
  for (const path of [to, ...companionsOf(to)]) rmSync(path, { force: true });
  copyFileSync(from, to, constants.COPYFILE_FICLONE);
  fsyncFile(to);
}

/** An empty database, of one page: what SQLite would make at the first write. */
export function create(file: string): void {
  const database = new DatabaseSync(file);
  database.exec('begin immediate; create table holdfast_new (i); drop table holdfast_new; commit');
  database.close();
  fsyncFile(file);
  fsyncDirectory(dirname(file));
}

function fsyncFile(file: string): void {
  const descriptor = openSync(file, 'r+');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
