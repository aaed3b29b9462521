import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** Makes the entries of a directory (creations, renames, removals) durable. */
export const fsyncDirectory = fsyncFile;

/** Makes the bytes of a file durable. */
export function fsyncFile(path: string | Buffer): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Replaces a file as a whole and durably: written beside, fsynced, renamed, both the file and its folder on disk
 * when this returns. A reader sees the old bytes or the new ones. May be run twice.
 *
 * @param mode permission bits, independent of the umask
 * @param owner who it shall belong to, from before it can be seen; ourselves otherwise
 */
export function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  mode = 0o600,
  owner?: { readonly uid: number; readonly gid: number },
): void {
  const temporary = `${path}.new-${process.pid}`;
  const descriptor = openSync(temporary, 'w', mode);
  try {
    fchmodSync(descriptor, mode);
    if (owner) fchownSync(descriptor, owner.uid, owner.gid);
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    for (let offset = 0; offset < bytes.length;) offset += writeSync(descriptor, bytes, offset);
    fsyncSync(descriptor);
  } catch (error) {
    closeSync(descriptor);
    rmSync(temporary, { force: true });
    throw error;
  }
  closeSync(descriptor);
  try {
    renameDurably(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Renames and makes the change durable on both sides. Throws what rename throws (EXDEV across file systems). */
export function renameDurably(from: string, to: string): void {
  renameSync(from, to);
  const [fromFolder, toFolder] = [dirname(from), dirname(to)];
  fsyncDirectory(toFolder);
  if (fromFolder !== toFolder) fsyncDirectory(fromFolder);
}

/** Removes a file durably. A file that is not there is no error: may be run twice. */
export function removeDurably(path: string): void {
  rmSync(path, { force: true });
  fsyncDirectory(dirname(path));
}
