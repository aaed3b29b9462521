import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/*
 * A tree as it is, read anew: what the inventory of a snapshot overlooks must not be overlooked by its test as well.
 */

export type TreeFacts = Readonly<Record<string, string>>;

/** Every entry of a folder, itself included, as `path -> type mode owner mtime contents`. */
export function treeFacts(
  root: string,
  options: { except?: readonly string[]; times?: 'all' | 'of files' | 'none' } = {},
): TreeFacts {
  const facts: Record<string, string> = {};
  const groups = new Map<string, string>();
  const times = options.times ?? 'all';
  const visit = (path: string) => {
    const full = path === '' ? Buffer.from(root) : Buffer.from(`${root}/${path}`, 'latin1');
    const stat = lstatSync(full, { bigint: true });
    const fileTime = times === 'none' ? '' : String(stat.mtimeNs);
    const about = `${(stat.mode & 0o7777n).toString(8)} ${stat.uid}:${stat.gid}`;
    if (stat.isDirectory()) {
      facts[path] = `folder ${about} ${times === 'all' ? stat.mtimeNs : ''}`;
      for (const name of readdirSync(full, { encoding: 'latin1' }).toSorted()) {
        const inside = path === '' ? name : `${path}/${name}`;
        if (!(options.except ?? []).includes(inside)) visit(inside);
      }
    } else if (stat.isSymbolicLink()) {
      facts[path] =
        `symlink ${stat.uid}:${stat.gid} ${fileTime} -> ${readlinkSync(full, { encoding: 'latin1' })}`;
    } else if (stat.isFile()) {
      // The first name of a file stands for the file: so copies are told from links.
      const inode = `${stat.dev}:${stat.ino}`;
      const first = groups.get(inode) ?? path;
      groups.set(inode, first);
      facts[path] =
        `file ${about} ${fileTime} ${readFileSync(full, 'base64')}${first === path ? '' : ` = ${first}`}`;
    } else {
      facts[path] = `special ${about}`;
    }
  };
  visit('');
  return facts;
}
