import { existsSync, lstatSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import type { KeepSetAside } from '../engine.ts';

/*
 * A database of SQLite is a file and what lies beside it: the write-ahead log and its index, or a rollback journal.
 * SQLite finds these by their names, and believes them: a log of one database beside another is written into that one
 * ("How To Corrupt An SQLite Database File", sqlite.org/howtocorrupt.html). So they are moved and compared together.
 */

/** What SQLite appends to the name of a database. */
const companions = ['-wal', '-journal', '-shm'] as const;

export const companionsOf = (file: string): string[] => companions.map((suffix) => `${file}${suffix}`);

/** The companions that are there. */
export const presentCompanions = (file: string): string[] =>
  companionsOf(file).filter((path) => existsSync(path));

/** As many as Linux follows. */
const mostLinks = 40;

/**
 * Where a database really lies: SQLite follows links, and names the log after what they lead to. So do we where nothing is
 * at their end: killed in the middle of a swap, the name there is free for an instant.
 *
 * @param path absolute, or inside the checkout
 */
export function databaseFile(directory: string, path: string): string {
  let full = resolve(directory, path);
  for (let links = 0; links < mostLinks; links += 1) {
    if (existsSync(full)) return realpathSync.native(full);
    const folder = dirname(full);
    if (!existsSync(folder)) return resolve(full);
    full = join(realpathSync.native(folder), basename(full));
    if (lstatSync(full, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return full;
    const target = readlinkSync(full);
    // Not joined: what `..` leads to is told by the links before it, which only the system follows.
    full = isAbsolute(target) ? target : `${dirname(full)}/${target}`;
  }
  return resolve(directory, path);
}

/** Our own folder beside a database: on its file system, so that a rename leads into its place. */
export const besideFolder = (file: string) => join(dirname(file), `.${basename(file)}.holdfast`);

/**
 * What the data-migration engine keeps beside a database: the lock of its runner, itself a database, and the copies of a dry
 * run. They belong to who is at work now, so they are in no snapshot, and a restore leaves them where they are: a lock that
 * is replaced no longer keeps anybody out.
 */
function enginePlacesOf(file: string): string[] {
  const lock = `${file}-holdfast-lock`;
  return [lock, ...companionsOf(lock), `${file}-holdfast-dry-run`];
}

/** Everything that belongs to the database, and is therefore no file of the appliance's like any other. */
export const placesOf = (file: string): string[] => [
  file,
  ...companionsOf(file),
  besideFolder(file),
  ...enginePlacesOf(file),
];

export const newName = (mark: string) => `new-${mark}`;
export const oldName = (mark: string) => `old-${mark}`;
export const unknownName = (inode: number, mark: string) => `unknown-${inode}-${mark}`;

/** The inode of a file; 0 where there is none. */
export const inodeOf = (file: string): number => lstatSync(file, { throwIfNoEntry: false })?.ino ?? 0;

/** Databases in our folder, companions left out. */
export function listBeside(file: string): { name: string; path: string; inode: number; changedAt: number }[] {
  const folder = besideFolder(file);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter(
      (name) => /^(new|old|unknown|try)-/.test(name) && !companions.some((suffix) => name.endsWith(suffix)),
    )
    .map((name) => {
      const path = join(folder, name);
      const { ino, ctimeMs } = lstatSync(path);
      return { name, path, inode: ino, changedAt: ctimeMs };
    });
}

/** The databases in our folder that `Database.dropSetAside` drops. */
export function listSetAside(file: string, { runs, oids }: KeepSetAside): { path: string }[] {
  const marks = runs.flatMap((run) => [run, `${run}-back`]);
  const isKept = ({ name, inode }: { name: string; inode: number }) =>
    marks.some((mark) => name === oldName(mark) || name === unknownName(inode, mark)) ||
    (name.startsWith('unknown-') && oids.includes(inode));
  return listBeside(file).filter((one) => !isKept(one));
}
