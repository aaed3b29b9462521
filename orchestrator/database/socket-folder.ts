import { createHash } from 'node:crypto';
import { lstatSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Refusal } from '../lib/errors.ts';

/** A socket's path is limited to 107 bytes by the kernel; the socket's own name takes some of them. */
const longestFolder = 80;

/**
 * A path by which clients reach the folder of a socket: its own, or where that is too long a link in the temporary
 * folder that leads to it.
 *
 * @throws Refusal if somebody else made that link
 */
export function reachableSocketFolder(folder: string): string {
  return isShortEnough(folder) ? folder : makeLink(folder, linkFor(folder));
}

/**
 * The same for the folder of a socket that containers share: always by a link, in whose place they have the folder itself.
 * Its own path leads through folders that are closed to others than us.
 */
export function sharedSocketFolder(folder: string): string {
  // The other temporary folder is emptied when a container starts.
  return makeLink(folder, linkFor(folder, '/var/tmp'));
}

function makeLink(folder: string, link: string): string {
  try {
    symlinkSync(folder, link);
  } catch {
    const stat = lstatSync(link);
    const isOurs = stat.isSymbolicLink() && stat.uid === process.getuid?.() && readlinkSync(link) === folder;
    if (!isOurs) throw new Refusal(`cannot use ${link}: somebody else made it`, `remove ${link}`);
  }
  return link;
}

/** Takes the link away again, where there is one. May be run twice. */
export function removeSocketLink(folder: string): void {
  if (!isShortEnough(folder)) rmSync(linkFor(folder), { force: true });
}

/** The same for one that containers shared. */
export function removeSharedLink(folder: string): void {
  rmSync(linkFor(folder, '/var/tmp'), { force: true });
}

/** Whether a socket in this folder can be named as it lies. */
export function isShortEnough(folder: string): boolean {
  return Buffer.byteLength(folder) <= longestFolder;
}

function linkFor(folder: string, parent = tmpdir()): string {
  const hash = createHash('sha256').update(folder).digest('hex').slice(0, 16);
  return join(parent, `holdfast-${process.getuid?.()}-${hash}`);
}
