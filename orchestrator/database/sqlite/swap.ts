import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fsyncDirectory, removeDurably, writeFileAtomic } from '../../lib/atomic-file.ts';
import type { Replacement } from '../engine.ts';
import {
  besideFolder,
  companionsOf,
  inodeOf,
  listBeside,
  oldName,
  presentCompanions,
  unknownName,
} from './places.ts';

/*
 * The swap: what was live moves aside with its log, then the replacement takes its name. A file has one name at a time, and
 * no rename takes two files along; so the order is what keeps a log of the one from the other at every instant:
 *
 *   1. the live file moves aside: whoever opens the name now finds no database, and SQLite throws away a log without one
 *   2. its log, journal and index follow it
 *   3. that is made durable, before
 *   4. the replacement takes the name. It was made whole, and has no log.
 *
 * Killed in between, it goes on from what is there: a log under the live name, while the replacement has not taken that, is
 * the old one's. One that comes back from a former swap as it was (a rollback over a database that nobody could read is
 * taken back) may have a log; that goes before it, and a mark beside, which names it by its inode, says from then on whose
 * the log is.
 */

const arrivingMark = 'arriving';

/** Makes our folder beside the database, which only we and its owner's programs that run as us can enter. */
export function ensureBesideFolder(file: string): string {
  const folder = besideFolder(file);
  if (!existsSync(folder)) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    fsyncDirectory(dirname(folder));
  }
  return folder;
}

/** Moves what lies under a name to another with all that belongs to it, the database first. May be run twice. */
function moveSet(from: string, to: string): void {
  if (existsSync(from)) {
    renameSync(from, to);
    syncFolders(from, to);
  }
  const others = companionsOf(from);
  companionsOf(to).forEach((path, index) => {
    const other = others[index] ?? '';
    if (existsSync(other)) renameSync(other, path);
  });
  syncFolders(from, to);
}

function syncFolders(...files: string[]): void {
  for (const folder of new Set(files.map((file) => dirname(file)))) fsyncDirectory(folder);
}

/**
 * Swaps by inode. Done already is no error; a file that is not the one we knew under the live name is moved aside, not
 * adopted. Nobody may have either of them open. A replacement of 0 is none: what is live moves aside, and that is all.
 *
 * @throws Error if the replacement is gone
 */
export function swapFiles(file: string, pair: Replacement, run: string): void {
  const folder = ensureBesideFolder(file);
  const mark = join(folder, arrivingMark);
  if (pair.replacement === 0) {
    const hasMoved = listBeside(file).some(
      ({ name, inode }) => inode === pair.live && !name.startsWith('new-'),
    );
    if (inodeOf(file) !== 0 || hasMoved) moveSet(file, join(folder, nameAside(file, pair, run)));
    finishSwap(folder);
    return;
  }
  if (inodeOf(file) === pair.replacement) {
    finishSwap(folder);
    return;
  }
  const incoming = listBeside(file).find(({ inode }) => inode === pair.replacement);
  if (!incoming) throw new Error('the restored copy of the database is gone from beside it');
  if (inodeOf(file) !== 0 || arriving(mark) !== pair.replacement) {
    moveSet(file, join(folder, nameAside(file, pair, run)));
  }
  if (presentCompanions(incoming.path).length > 0) writeFileAtomic(mark, String(pair.replacement));
  const here = companionsOf(incoming.path);
  companionsOf(file).forEach((path, index) => {
    const other = here[index] ?? '';
    if (existsSync(other)) renameSync(other, path);
  });
  syncFolders(incoming.path, file);
  renameSync(incoming.path, file);
  syncFolders(incoming.path, file);
  finishSwap(folder);
}

/** Under which name what is live moves aside; of what moved already, and left its log behind, the one that it has. */
function nameAside(file: string, pair: Replacement, run: string): string {
  const holder = inodeOf(file);
  const known = listBeside(file);
  if (holder !== 0) {
    const isTaken = known.some(({ name }) => name === oldName(run));
    return holder === pair.live && !isTaken ? oldName(run) : unknownName(holder, run);
  }
  const aside = known.filter(({ name }) => !name.startsWith('new-'));
  // A rename sets the time of change: the last one that moved is the one that was at it.
  const [last] = aside.toSorted((one, other) => other.changedAt - one.changedAt);
  return (aside.find(({ inode }) => inode === pair.live) ?? last)?.name ?? oldName(run);
}

/** By its inode, what a log under the live name belongs to already; undefined where no swap came so far. */
const arriving = (mark: string): number | undefined =>
  existsSync(mark) ? Number(readFileSync(mark, 'utf8')) : undefined;

function finishSwap(folder: string): void {
  const mark = join(folder, arrivingMark);
  if (existsSync(mark)) removeDurably(mark);
}

/** Removes a database with all that belongs to it. May be run twice. */
export function removeSet(path: string): void {
  for (const one of [...companionsOf(path), path]) rmSync(one, { force: true });
}

/** What a database takes with all that belongs to it, in bytes. */
export function sizeOfSet(path: string): number {
  return [path, ...companionsOf(path)].reduce(
    (sum, one) => sum + (statSync(one, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}
