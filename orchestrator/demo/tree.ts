import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** A tree as lines, one an entry, by path. */
export type Tree = ReadonlyMap<string, string>;

/** The appliance's history, state and snapshots. All else counts, what npm installed and what was built, too. */
const leftOut = new Set(['.git', '.holdfast', 'backups']);

/**
 * Reads a checkout: type, mode, owner and modification time to the nanosecond of every entry, the target of links, the
 * bytes of files (of installed packages, which are many and large, only the size). Written apart from the inventory of
 * snapshots on purpose: what checks a restore must not share its blind spots.
 */
export function readTree(root: string): Tree {
  const entries = new Map<string, string>();
  const visit = (folder: string, installed: boolean) => {
    for (const name of readdirSync(join(root, folder)).toSorted()) {
      const path = folder === '' ? name : `${folder}/${name}`;
      if (leftOut.has(path)) continue;
      const full = join(root, path);
      const stat = lstatSync(full, { bigint: true });
      const facts = [stat.mode.toString(8), `${stat.uid}:${stat.gid}`, stat.mtimeNs];
      if (stat.isSymbolicLink()) facts.push(readlinkSync(full));
      else if (stat.isFile()) facts.push(stat.size, installed ? '' : hashOf(full));
      entries.set(path, facts.join(' '));
      if (stat.isDirectory()) visit(path, installed || name === 'node_modules');
    }
  };
  visit('', false);
  return entries;
}

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** What differs, a few by name; nothing when the trees are the same. */
export function compareTrees(before: Tree, after: Tree): string[] {
  const differences: string[] = [];
  for (const [path, facts] of before) {
    const now = after.get(path);
    if (now === undefined) differences.push(`${path} is missing`);
    else if (now !== facts) differences.push(`${path} is not as it was (${facts} became ${now})`);
  }
  for (const path of after.keys()) if (!before.has(path)) differences.push(`${path} was not there`);
  const more = differences.length - 5;
  return more > 0 ? [...differences.slice(0, 5), `and ${more} paths more`] : differences;
}
