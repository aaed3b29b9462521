import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { hasCode } from '../lib/errors.ts';
import { ancestorsOf, parentOf, under, type RawPath } from '../lib/raw-path.ts';

/** True for what is there and is not a folder: a link to one neither. */
export function isNoFolder(root: string, path: RawPath): boolean {
  const stat = lookAt(root, path);
  return stat !== undefined && !stat.isDirectory();
}

/**
 * Moves an entry out of a tree, to the same path under a folder of the same mount. Nothing is deleted in a restore: what
 * the failed update made is kept for whoever looks into it, unless the disk has no room even for the folder that would
 * hold it. What is not there is no error: may be run twice.
 */
export function moveAside(root: string, failed: string, path: RawPath): void {
  const there = lookAt(root, path);
  if (!there) return;
  // An earlier attempt may have kept something there already, or a file where a folder is needed: then this goes beside
  // it all. The names stay as they are: they may be as long as a name can be.
  let base = failed;
  const isTaken = () =>
    lookAt(base, path) !== undefined || ancestorsOf(path).some((above) => isNoFolder(base, above));
  for (let number = 2; isTaken(); number += 1) base = `${failed}~${number}`;
  makeWritable(root, parentOf(path));
  if (there.isDirectory()) makeWritable(root, path);
  try {
    mkdirSync(under(base, parentOf(path)), { recursive: true, mode: 0o700 });
  } catch (error) {
    if (!hasCode(error, 'ENOSPC', 'EDQUOT')) throw error;
    rmSync(under(root, path), { recursive: true, force: true });
    return;
  }
  renameSync(under(root, path), under(base, path));
}

/**
 * Lets an ordinary user rename what lies in a folder of his that is read-only, or the folder itself. It gets its
 * mode back with the other folders, at the end.
 */
export function makeWritable(root: string, path: RawPath): void {
  const stat = lstatSync(under(root, path), { throwIfNoEntry: false });
  if (!stat?.isDirectory() || process.getuid?.() !== stat.uid || stat.uid === 0) return;
  if ((stat.mode & 0o300) !== 0o300) chmodSync(under(root, path), (stat.mode & 0o7777) | 0o300);
}

/** What is there, links not followed; undefined where there is nothing, or a file where a folder would be. */
function lookAt(root: string, path: RawPath): ReturnType<typeof lstatSync> | undefined {
  try {
    return lstatSync(under(root, path), { throwIfNoEntry: false });
  } catch (error) {
    if (hasCode(error, 'ENOTDIR')) return undefined;
    throw error;
  }
}
