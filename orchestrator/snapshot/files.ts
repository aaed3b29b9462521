import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import type { Config } from '../config/schema.ts';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { hasCode } from '../lib/errors.ts';
import { displayPath } from '../lib/raw-path.ts';
import { lastLines } from '../runtime/runtime.ts';
import { createArchive } from '../tools/tar.ts';
import {
  decodeEntry,
  encodeEntry,
  isUntouched,
  scan,
  withChecksums,
  type Entry,
  type Root,
} from './inventory.ts';
import type { SnapshotRoot } from './manifest.ts';
import { describeRoots } from './roots.ts';

export interface FilesBackup {
  readonly roots: readonly SnapshotRoot[];
  readonly entries: number;
  readonly sizeBytes: number;
  /** Entries that no archive can hold: pipes, sockets, devices. */
  readonly skipped: readonly Entry[];
  /** Pairs of names of one file that lie in two trees, as text. */
  readonly linkedAcross: readonly string[];
}

/** How often a tree is read anew, when programs write in it meanwhile, before that is told as a failure. */
const attempts = 3;

/**
 * Archives every root with its inventory into a folder: as it was at one moment, since a tree that changes while it is
 * read is read anew.
 *
 * @param former roots of the snapshot that a rollback brings back: what is in them now is set aside as well
 * @throws Error if an entry cannot be read, or if somebody keeps writing
 */
export async function backupFiles(
  appliance: Appliance,
  config: Config,
  folder: string,
  former: readonly SnapshotRoot[] = [],
): Promise<FilesBackup> {
  const roots: SnapshotRoot[] = [];
  const seen: { path: string; entries: readonly Entry[] }[] = [];
  const present = describeRoots(appliance, config);
  const also = former
    .filter(({ name, path }) => name !== 'files' && !present.some(({ root }) => root.path === path))
    .map(({ path, exclude, patterns }, index) => ({
      name: `former-${index + 1}`,
      root: { path, exclude, patterns },
    }));
  for (const { name, root } of [...present, ...also]) {
    const archive = `${name}.tar.zst`;
    const inventory = name === 'files' ? 'inventory.ndjson' : `${name}.inventory.ndjson`;
    const listed = await archiveRoot(appliance, root, join(folder, archive));
    writeFileAtomic(join(folder, inventory), listed.map((entry) => `${encodeEntry(entry)}\n`).join(''));
    const archived = listed.filter(isArchived);
    roots.push({
      name,
      ...root,
      exclude: [...root.exclude],
      patterns: [...root.patterns],
      present: archived.length > 0,
      archive,
      inventory,
      entries: archived.length,
    });
    seen.push({ path: root.path, entries: listed });
  }
  const all = seen.flatMap(({ entries }) => entries);
  const archived = all.filter(isArchived);
  return {
    roots,
    entries: archived.length,
    sizeBytes: archived.reduce((sum, entry) => sum + entry.size, 0),
    skipped: all.filter((entry) => !isArchived(entry)),
    linkedAcross: findLinksAcross(seen),
  };
}

/** No archive holds pipes, sockets and devices. The inventory has them: a restore must leave them where they are. */
export const isArchived = (entry: Entry): boolean => entry.type !== 'special';

/** The archive of a root; resolves to its inventory. */
async function archiveRoot(appliance: Appliance, root: Root, archive: string): Promise<Entry[]> {
  let changed: readonly string[] = [];
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const found = scan(root);
    const listed = await tryToRead(async () => await withChecksums(root.path, found));
    const archived = listed?.filter(isArchived) ?? [];
    // tar's own word (1: "some files differ", 2: it could not find one, or something worse) is not to the point: files
    // may have changed before it came to them.
    const tar =
      archived.length === 0
        ? undefined
        : await appliance.runtime.run(
            createArchive({ archive, root: root.path, entries: nameList(archived) }),
            { allowFailure: true },
          );
    changed = whatChanged(found, scan(root));
    if (tar && tar.exitCode > 1 && changed.length === 0)
      throw new Error(`tar failed (exit ${tar.exitCode}): ${lastLines(tar.stderr)}`);
    if (listed && changed.length === 0) return listed;
  }
  throw new Error(
    `cannot back up ${root.path}: ${changed.slice(0, 3).join(', ')} changed while it was being read, ${attempts} times. ` +
      'Another program writes there, though all services are stopped: stop it, or list what it writes under "exclude"',
  );
}

/** Undefined where a file vanished while all were read. */
async function tryToRead<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** What is not the same any more, by the kernel's own word. Pipes and sockets may come and go. */
function whatChanged(before: readonly Entry[], after: readonly Entry[]): string[] {
  const then = new Map(before.filter(isArchived).map((entry) => [entry.path, entry]));
  const now = new Map(after.filter(isArchived).map((entry) => [entry.path, entry]));
  return [...new Set([...then.keys(), ...now.keys()])].flatMap((path) => {
    const [was, is] = [then.get(path), now.get(path)];
    return was && is && was.type === is.type && isUntouched(was, is) ? [] : [displayPath(path) || '.'];
  });
}

/** Files with names in more than one tree: a restore of one of them makes copies of what was one file. */
function findLinksAcross(trees: readonly { path: string; entries: readonly Entry[] }[]): string[] {
  const first = new Map<string, { path: string; name: string }>();
  const found: string[] = [];
  for (const { path, entries } of trees) {
    for (const entry of entries) {
      if (entry.type !== 'file') continue;
      const identity = `${entry.device}:${entry.inode}`;
      const name = `${path}/${displayPath(entry.path)}`;
      const other = first.get(identity);
      if (other && other.path !== path) found.push(`${other.name} and ${name}`);
      else first.set(identity, { path, name });
    }
  }
  return found;
}

/** What the files of a configuration take, in bytes, without reading them. */
export function measureFiles(appliance: Appliance, config: Config): number {
  return describeRoots(appliance, config).reduce(
    (sum, { root }) => sum + scan(root).reduce((bytes, entry) => bytes + entry.size, 0),
    0,
  );
}

export function readInventory(path: string): Entry[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map(decodeEntry);
}

/** What tar reads: names as they are, NUL-separated. */
export function nameList(entries: readonly Entry[]): Buffer {
  return Buffer.from(entries.map(({ path }) => `${path === '' ? '.' : path}\0`).join(''), 'latin1');
}
