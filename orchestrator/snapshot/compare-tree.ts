import { under, type RawPath } from '../lib/raw-path.ts';
import {
  describeDifference,
  isUntouched,
  look,
  scan,
  sha256OfFile,
  withoutLeftOut,
  type Entry,
  type Root,
} from './inventory.ts';

/** How a tree differs from its inventory. Every entry appears in one list only. */
export interface TreeDifference {
  /** Entries of the inventory, folders left out, that are missing or not as they were. */
  readonly damaged: readonly { readonly entry: Entry; readonly what: string }[];
  /** Folders of the inventory that are missing or whose mode, owner or time differs. */
  readonly folders: readonly { readonly entry: Entry; readonly what: string }[];
  /** What is there now and was not; of a new folder only the folder. */
  readonly extra: readonly Entry[];
  /**
   * Entries of the inventory, folders among them, that look as they were but that something happened to: an extended
   * attribute, an ACL, a capability may be another one, which only an archive knows.
   */
  readonly touched: readonly Entry[];
  /** Pipes, sockets and devices that were there and are not: no archive brings them back. */
  readonly lost: readonly Entry[];
}

/**
 * Compares a tree with what it was. An entry that the kernel has not changed since (`isUntouched`) is not read;
 * every other file is, to the last byte.
 *
 * @param readAll reads every file: after a power cut a file may hold other bytes though its times are the old ones
 */
export async function compareTree(
  root: Root,
  whole: readonly Entry[],
  readAll = false,
): Promise<TreeDifference> {
  const inventory = withoutLeftOut(root, whole);
  const holders = new Set<RawPath>();
  const live = new Map(scan(root, holders).map((entry) => [entry.path, entry]));
  const damaged: { entry: Entry; what: string }[] = [];
  const folders: { entry: Entry; what: string }[] = [];
  const touched: Entry[] = [];
  const lost: Entry[] = [];
  for (const entry of inventory) {
    const now = live.get(entry.path);
    // One that was made anew is as good: it holds nothing.
    if (entry.type === 'special') {
      if (now?.type !== 'special') lost.push(entry);
      continue;
    }
    const what = await differenceOf(root.path, entry, now, readAll);
    if (what !== undefined) (entry.type === 'directory' ? folders : damaged).push({ entry, what });
    else if (now && !isUntouched(entry, now)) touched.push(entry);
  }
  const known = new Set(inventory.filter((entry) => !lost.includes(entry)).map((entry) => entry.path));
  const extra: Entry[] = [];
  let covered: string | undefined;
  for (const entry of live.values()) {
    // An empty root is nothing that was added: it may be a mount point, which stays. Neither is a folder in which
    // something lies that does not count: it would go along.
    if (
      entry.path === '' ||
      (entry.type === 'directory' && holders.has(entry.path)) ||
      known.has(entry.path) ||
      (covered !== undefined && entry.path.startsWith(covered))
    )
      continue;
    extra.push(entry);
    covered = entry.type === 'directory' ? `${entry.path}/` : undefined;
  }
  // Something else in the place of a root: nothing of it is in the list of its entries.
  const instead = live.size === 0 ? look(root.path, '' as RawPath) : undefined;
  if (instead && instead.type !== 'directory') extra.push(instead);
  return { damaged: wholeLinkGroups(inventory, damaged), folders, extra, touched, lost };
}

async function differenceOf(
  root: string,
  before: Entry,
  now: Entry | undefined,
  readAll: boolean,
): Promise<string | undefined> {
  if (!now) return 'is missing';
  if (!readAll && before.type !== 'directory' && isUntouched(before, now)) return undefined;
  const difference = describeDifference(before, now);
  if (difference !== undefined) return difference;
  if (before.type !== 'file' || before.sha256 === undefined) return undefined;
  return (await sha256OfFile(under(root, now.path))) === before.sha256 ? undefined : 'has other bytes';
}

/** Names of one file come back together, or they would be copies afterwards. */
export function wholeLinkGroups(
  inventory: readonly Entry[],
  damaged: readonly { entry: Entry; what: string }[],
): { entry: Entry; what: string }[] {
  const identity = (entry: Entry) => `${entry.device}:${entry.inode}`;
  const listed = new Set<RawPath>(damaged.map(({ entry }) => entry.path));
  const groups = new Set(damaged.filter(({ entry }) => entry.links > 1).map(({ entry }) => identity(entry)));
  const others = inventory.filter(
    (entry) => entry.links > 1 && groups.has(identity(entry)) && !listed.has(entry.path),
  );
  return [
    ...damaged,
    ...others.map((entry) => ({ entry, what: 'is a name of a file that is not as it was' })),
  ];
}
