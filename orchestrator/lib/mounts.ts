import { readFileSync, realpathSync, statSync } from 'node:fs';

/*
 * No rename leads from one mount to another, be they of one file system: a bind mount has the device number of what it
 * shows, and gives EXDEV all the same. So device numbers do not tell; the kernel's list of mounts does (proc(5)).
 */

/** Where something is mounted, as absolute paths. */
export function parseMountPoints(mountinfo: string): string[] {
  return mountinfo.split('\n').flatMap((line) => {
    const point = line.split(' ')[4];
    if (point === undefined) return [];
    const bytes = point.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    return [Buffer.from(bytes, 'latin1').toString('utf8')];
  });
}

function mountPoints(): string[] {
  return parseMountPoints(readFileSync('/proc/self/mountinfo', 'latin1'));
}

const isBelow = (path: string, folder: string): boolean =>
  path.startsWith(folder === '/' ? '/' : `${folder}/`);

/** The mount points inside a folder, the folder itself left out, outer ones first. */
export function mountPointsBelow(folder: string): string[] {
  const real = realpathSync(folder);
  return [...new Set(mountPoints())].filter((point) => point !== real && isBelow(point, real)).toSorted();
}

/** The mount that an existing path lies on, by its mount point. */
function mountOf(path: string): string {
  const real = realpathSync(path);
  return mountPoints()
    .filter((point) => point === real || isBelow(real, point))
    .reduce((longest, point) => (point.length > longest.length ? point : longest), '/');
}

/** True if a rename can lead from one existing path to the other: one mount of one file system (or subvolume). */
export function canRenameBetween(one: string, other: string): boolean {
  return statSync(one).dev === statSync(other).dev && mountOf(one) === mountOf(other);
}
