import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import type { Config } from '../config/schema.ts';
import { fsyncDirectory, writeFileAtomic } from '../lib/atomic-file.ts';
import { hasCode, messageOf } from '../lib/errors.ts';
import { ancestorsOf, parentOf, under, type RawPath } from '../lib/raw-path.ts';
import { removeTree } from '../lib/remove-tree.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { createArchive, extractArchive } from '../tools/tar.ts';
import { compareTree, wholeLinkGroups } from './compare-tree.ts';
import { decodeEntry, encodeEntry, scan, withChecksums, type Entry, type Root } from './inventory.ts';
import type { SnapshotRoot } from './manifest.ts';
import { freeName, productPaths } from './products.ts';

/** Where a restore works inside a root that lies on a file system of its own. Never part of a snapshot. */
const workPattern = '.holdfast-restore-*';

/** The trees that a snapshot of this configuration holds: the checkout, then every data path outside it. */
export function describeRoots(appliance: Appliance, config: Config): { name: string; root: Root }[] {
  const { directory } = appliance;
  const ownInside = (root: string) =>
    [appliance.state.path, appliance.backupsDirectory].flatMap((path) => insideOf(root, path) ?? []);
  const exclude = ['.git', ...productPaths(config), ...config.exclude, ...ownInside(directory)];
  // The link that run.sh keeps to Holdfast's own dependencies belongs to Holdfast, not to the appliance.
  if (appliance.program.home === directory) exclude.push('node_modules');
  const patterns: string[] = [workPattern];
  const outside: { name: string; root: Root }[] = [];
  for (const { path, exclude: without } of config.data) {
    const { real, inside } = locate(directory, path);
    if (inside !== undefined && isOnSameFileSystem(directory, real)) {
      patterns.push(...without.map((pattern) => join(inside, pattern)));
      continue;
    }
    if (inside !== undefined) exclude.push(inside);
    outside.push({
      name: `data-${outside.length + 1}`,
      root: { path: real, exclude: ownInside(real), patterns: [workPattern, ...without] },
    });
  }
  return [{ name: 'files', root: { path: directory, exclude, patterns } }, ...outside];
}

/** Where data really lie: an archive of the checkout would hold a symbolic link to them and not what is behind it. */
function locate(directory: string, path: string): { real: string; inside: string | undefined } {
  const full = resolve(directory, path);
  if (!existsSync(full)) return { real: full, inside: insideOf(directory, full) };
  const real = realpathSync(full);
  return { real, inside: insideOf(realpathSync(directory), real) };
}

/** The relative path of what lies in a folder or is it; undefined for what lies elsewhere. */
function insideOf(folder: string, path: string): string | undefined {
  const inside = relative(folder, path);
  return inside === '..' || inside.startsWith('../') ? undefined : inside;
}

/** A mount point in the checkout is a tree of its own: no rename leads from one file system to another. */
function isOnSameFileSystem(one: string, other: string): boolean {
  return !existsSync(other) || statSync(one).dev === statSync(other).dev;
}

export interface FilesBackup {
  readonly roots: readonly SnapshotRoot[];
  readonly entries: number;
  readonly sizeBytes: number;
  /** Entries that no archive can hold: pipes, sockets, devices. */
  readonly skipped: readonly Entry[];
}

/**
 * Archives every root with its inventory into a folder. Throws if an entry cannot be read.
 *
 * @param former roots of the snapshot that a rollback brings back: what is in them now is set aside as well
 */
export async function backupFiles(
  appliance: Appliance,
  config: Config,
  folder: string,
  former: readonly SnapshotRoot[] = [],
): Promise<FilesBackup> {
  const roots: SnapshotRoot[] = [];
  const skipped: Entry[] = [];
  let entries = 0;
  let sizeBytes = 0;
  const present = describeRoots(appliance, config);
  const also = former
    .filter(({ name, path }) => name !== 'files' && !present.some(({ root }) => root.path === path))
    .map(({ path, exclude, patterns }, index) => ({
      name: `former-${index + 1}`,
      root: { path, exclude, patterns },
    }));
  for (const { name, root } of [...present, ...also]) {
    const listed = await withChecksums(root.path, scan(root));
    const archived = listed.filter((entry) => entry.type !== 'special');
    const archive = `${name}.tar.zst`;
    const inventory = name === 'files' ? 'inventory.ndjson' : `${name}.inventory.ndjson`;
    writeFileAtomic(join(folder, inventory), archived.map((entry) => `${encodeEntry(entry)}\n`).join(''));
    if (archived.length > 0) {
      await appliance.runtime.run(
        createArchive({ archive: join(folder, archive), root: root.path, entries: nameList(archived) }),
      );
    }
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
    skipped.push(...listed.filter((entry) => entry.type === 'special'));
    entries += archived.length;
    sizeBytes += archived.reduce((sum, entry) => sum + entry.size, 0);
  }
  return { roots, entries, sizeBytes, skipped };
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

function nameList(entries: readonly Entry[]): Buffer {
  return Buffer.from(entries.map(({ path }) => `${path === '' ? '.' : path}\0`).join(''), 'latin1');
}

/**
 * Makes a root what its inventory says, touching only what differs: what was added moves to `failedFolder`, what was
 * changed follows it and comes back from the archive, and folders get their mode, owner and times back last.
 * Decided by what is on disk: may be run twice, and after a kill at any instant.
 */
export async function restoreRoot(
  runtime: Runtime,
  snapshotFolder: string,
  root: SnapshotRoot,
  places: { work: string; failed: string },
  readAll = false,
): Promise<void> {
  const inventory = readInventory(join(snapshotFolder, root.inventory));
  const archive = join(snapshotFolder, root.archive);
  if (!root.present) return await Promise.resolve(moveAllAside(root, places));
  mkdirSync(root.path, { recursive: true });
  const { work, failed } = placesFor(root, places);
  const difference = await compareTree(root, inventory, readAll);
  // What only looks as it was comes from the archive as well: attributes and ACLs cannot be compared from here.
  // Once only: tar takes a name that stands in its list twice for one that the archive lacks.
  const listed = new Set(difference.damaged.map(({ entry }) => entry.path));
  const touched = difference.touched.filter(({ path, type }) => type !== 'directory' && !listed.has(path));
  const damaged = wholeLinkGroups(inventory, [
    ...difference.damaged,
    ...touched.map((entry) => ({ entry, what: 'was touched' })),
  ]).map(({ entry }) => entry);
  const wanted = [
    ...damaged.map((entry) => entry.path),
    ...difference.folders.map(({ entry }) => entry.path),
  ];

  for (const entry of difference.extra) moveAside(root.path, failed, entry.path);
  for (const path of wanted) {
    for (const above of ancestorsOf(path))
      if (isNoFolder(root.path, above)) moveAside(root.path, failed, above);
  }
  for (const { entry } of difference.folders) {
    if (entry.path !== '' && isNoFolder(root.path, entry.path)) moveAside(root.path, failed, entry.path);
    makeWritable(root.path, parentOf(entry.path));
    mkdirSync(under(root.path, entry.path), { recursive: true });
  }
  if (damaged.length > 0) {
    rmSync(work, { recursive: true, force: true });
    mkdirSync(work, { recursive: true, mode: 0o700 });
    await extractWithRoom(runtime, { archive, into: work, entries: nameList(damaged) }, failed);
    for (const { path } of damaged) {
      moveAside(root.path, failed, path);
      mkdirSync(under(root.path, parentOf(path)), { recursive: true });
      makeWritable(root.path, parentOf(path));
      renameSync(under(work, path), under(root.path, path));
      fsyncDirectory(under(root.path, parentOf(path)));
    }
    rmSync(work, { recursive: true, force: true });
  }
  // Every rename above changed the time of a folder: so folders are compared once more, and come last.
  const last = await compareTree(root, inventory);
  const folders = [
    ...last.folders.map(({ entry }) => entry),
    ...last.touched.filter((entry) => entry.type === 'directory'),
  ];
  if (folders.length > 0)
    await runtime.run(extractArchive({ archive, into: root.path, entries: nameList(folders) }));
}

/**
 * What a failed update made is kept until its room is needed: a migration that filled the disk must not keep what it
 * overwrote from coming back.
 */
async function extractWithRoom(
  runtime: Runtime,
  what: Parameters<typeof extractArchive>[0],
  failed: string,
): Promise<void> {
  const extract = async () => await runtime.run(extractArchive(what));
  try {
    await extract();
  } catch (error) {
    if (!/No space left on device|Disk quota exceeded/.test(messageOf(error)) || !existsSync(failed))
      throw error;
    removeTree(failed);
    await extract();
  }
}

/** A root on another file system cannot be renamed into the state directory: work inside it. */
function placesFor(
  root: SnapshotRoot,
  places: { work: string; failed: string },
): { work: string; failed: string } {
  mkdirSync(places.failed, { recursive: true, mode: 0o700 });
  if (statSync(root.path).dev === statSync(places.failed).dev) return places;
  const inside = join(root.path, workPattern.replace('*', root.name));
  return { work: join(inside, 'work'), failed: join(inside, 'failed') };
}

function moveAllAside(root: SnapshotRoot, places: { work: string; failed: string }): void {
  const top = scan(root).filter((entry) => entry.path !== '' && parentOf(entry.path) === '');
  if (top.length > 0) {
    const { failed } = placesFor(root, places);
    for (const entry of top) moveAside(root.path, failed, entry.path);
  }
  try {
    rmdirSync(root.path);
  } catch (error) {
    // A mount point stays, and so does what does not count.
    if (!hasCode(error, 'ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST', 'EBUSY', 'EACCES', 'EPERM')) throw error;
  }
}

function isNoFolder(root: string, path: RawPath): boolean {
  try {
    const stat = lstatSync(under(root, path), { throwIfNoEntry: false });
    return stat !== undefined && !stat.isDirectory();
  } catch (error) {
    if (hasCode(error, 'ENOTDIR')) return false;
    throw error;
  }
}

/** Nothing is deleted in a restore: what the failed update made is kept for whoever looks into it. */
function moveAside(root: string, failed: string, path: RawPath): void {
  let there;
  try {
    there = lstatSync(under(root, path), { throwIfNoEntry: false });
  } catch (error) {
    if (!hasCode(error, 'ENOTDIR')) throw error;
  }
  if (!there) return;
  // An earlier attempt may have kept a file where a folder is needed now: then this goes beside it all.
  let base = failed;
  for (let number = 2; ancestorsOf(path).some((above) => isNoFolder(base, above)); number += 1)
    base = `${failed}~${number}`;
  const target = freeName(under(base, path).toString('latin1'), 'latin1');
  mkdirSync(Buffer.from(target.slice(0, target.lastIndexOf('/')), 'latin1'), {
    recursive: true,
    mode: 0o700,
  });
  makeWritable(root, parentOf(path));
  if (there.isDirectory()) makeWritable(root, path);
  renameSync(under(root, path), Buffer.from(target, 'latin1'));
}

/**
 * Lets an ordinary user rename what lies in a folder of his that is read-only, or the folder itself. It gets its
 * mode back with the other folders, at the end.
 */
function makeWritable(root: string, path: RawPath): void {
  const stat = lstatSync(under(root, path), { throwIfNoEntry: false });
  if (!stat?.isDirectory() || process.getuid?.() !== stat.uid || stat.uid === 0) return;
  if ((stat.mode & 0o300) !== 0o300) chmodSync(under(root, path), (stat.mode & 0o7777) | 0o300);
}

/**
 * The roots of a snapshot as they are restored here: the checkout is this one, wherever it lay then, and what the
 * present configuration leaves out of its snapshots stays untouched, since no safety snapshot holds it.
 */
export function rootsToRestore(appliance: Appliance, manifestRoots: readonly SnapshotRoot[]): SnapshotRoot[] {
  const present = describeRoots(appliance, appliance.config);
  const notProducts = (path: string) => !productPaths(appliance.config).includes(path);
  return manifestRoots.map((root) => {
    const path = root.name === 'files' ? appliance.directory : root.path;
    const now = present.find((one) => one.root.path === path)?.root;
    return {
      ...root,
      path,
      exclude: [...new Set([...root.exclude, ...(now?.exclude ?? []).filter(notProducts)])],
      patterns: [...new Set([...root.patterns, ...(now?.patterns ?? [])])],
    };
  });
}
