import { existsSync, lstatSync, mkdirSync, renameSync, rmdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fsyncDirectory } from '../lib/atomic-file.ts';
import { hasCode, messageOf } from '../lib/errors.ts';
import { canRenameBetween } from '../lib/mounts.ts';
import { ancestorsOf, parentOf, under } from '../lib/raw-path.ts';
import { removeTree } from '../lib/remove-tree.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { extractArchive } from '../tools/tar.ts';
import { compareTree, wholeLinkGroups } from './compare-tree.ts';
import { nameList, readInventory } from './files.ts';
import { dropAddedAttributes } from './folder-attributes.ts';
import { scan, type Entry } from './inventory.ts';
import type { SnapshotRoot } from './manifest.ts';
import { isNoFolder, makeWritable, moveAside } from './move-aside.ts';
import { freeName } from './products.ts';
import { workFolder } from './roots.ts';

/** Where the restore of a root works, and where it keeps what the failed update made. */
export interface RestorePlaces {
  readonly work: string;
  readonly failed: string;
  /** What tells the folders of this run from those of others, where they must lie inside the root. */
  readonly runId: string;
}

/**
 * Makes a root what its inventory says, touching only what differs: what was added moves to `failed`, what was
 * changed follows it and comes back from the archive, and folders get their mode, owner and times back last.
 * Decided by what is on disk: may be run twice, and after a kill at any instant.
 *
 * @param readAll see `compareTree`
 */
export async function restoreRoot(
  runtime: Runtime,
  snapshotFolder: string,
  root: SnapshotRoot,
  allPlaces: RestorePlaces,
  readAll = false,
): Promise<void> {
  const inventory = readInventory(join(snapshotFolder, root.inventory));
  const archive = join(snapshotFolder, root.archive);
  makeRoomForFolder(root, allPlaces);
  if (!root.present) return moveAllAside(root, allPlaces);
  mkdirSync(root.path, { recursive: true });
  const { work, failed } = placesFor(root, allPlaces);
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
    await unpack(runtime, { archive, root: root.path, work, failed, entries: damaged });
    for (const { path } of damaged) {
      moveAside(root.path, failed, path);
      mkdirSync(under(root.path, parentOf(path)), { recursive: true });
      makeWritable(root.path, parentOf(path));
      renameSync(under(work, path), under(root.path, path));
      fsyncDirectory(under(root.path, parentOf(path)));
    }
  }
  removeTree(work);
  if (dirname(work) !== dirname(allPlaces.work)) removeIfEmpty(dirname(work));
  // Every rename above changed the time of a folder: so folders are compared once more, and come last.
  const last = await compareTree(root, inventory);
  const folders = [
    ...last.folders.map(({ entry }) => entry),
    ...last.touched.filter((entry) => entry.type === 'directory'),
  ];
  if (folders.length === 0) return;
  const entries = nameList(folders);
  const { stdout } = await runtime.run(extractArchive({ archive, into: root.path, entries }));
  await dropAddedAttributes(runtime, root.path, entries, stdout);
}

/**
 * Unpacks entries beside the tree. What a failed update made is kept until its space is needed: where the disk is full,
 * it goes, and so does what is to be replaced in any case.
 */
async function unpack(
  runtime: Runtime,
  places: { archive: string; root: string; work: string; failed: string; entries: readonly Entry[] },
): Promise<void> {
  const { archive, root, work, failed } = places;
  const extract = async () => {
    removeTree(work);
    mkdirSync(work, { recursive: true, mode: 0o700 });
    await runtime.run(extractArchive({ archive, into: work, entries: nameList(places.entries) }));
  };
  try {
    await extract();
  } catch (error) {
    if (!/No space left on device|Disk quota exceeded|ENOSPC|EDQUOT/.test(messageOf(error))) throw error;
    removeTree(work);
    removeTree(failed);
    for (const { path } of places.entries) moveAside(root, failed, path);
    removeTree(failed);
    await extract();
  }
}

/** What lies on another mount cannot be renamed into the state directory: work inside the root. */
function placesFor(root: SnapshotRoot, places: RestorePlaces): { work: string; failed: string } {
  mkdirSync(places.failed, { recursive: true, mode: 0o700 });
  if (canRenameBetween(root.path, places.failed)) return places;
  const inside = workFolder(root.path, places.runId);
  return { work: join(inside, 'work'), failed: join(inside, 'failed') };
}

/** A release may have put a file or a link where data were in a folder, or where nothing was. */
function makeRoomForFolder(root: SnapshotRoot, places: RestorePlaces): void {
  const there = lstatSync(root.path, { throwIfNoEntry: false });
  if (!there || there.isDirectory()) return;
  const parent = dirname(root.path);
  mkdirSync(places.failed, { recursive: true, mode: 0o700 });
  const base = canRenameBetween(parent, places.failed) ? places.failed : workFolder(parent, places.runId);
  mkdirSync(base, { recursive: true, mode: 0o700 });
  renameSync(root.path, freeName(join(base, basename(root.path))));
  for (const folder of [parent, base]) fsyncDirectory(folder);
}

function moveAllAside(root: SnapshotRoot, places: RestorePlaces): void {
  if (!existsSync(root.path)) return;
  const top = scan(root).filter((entry) => entry.path !== '' && parentOf(entry.path) === '');
  if (top.length > 0) {
    const { failed } = placesFor(root, places);
    for (const entry of top) moveAside(root.path, failed, entry.path);
  }
  removeIfEmpty(root.path);
}

function removeIfEmpty(path: string): void {
  // Asked first: on a read-only mount even what is not there cannot be removed.
  if (!existsSync(path)) return;
  try {
    rmdirSync(path);
  } catch (error) {
    // A mount point stays, and so does what does not count.
    if (!hasCode(error, 'ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST', 'EBUSY', 'EACCES', 'EPERM')) throw error;
  }
}
