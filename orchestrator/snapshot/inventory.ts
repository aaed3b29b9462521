import { createHash } from 'node:crypto';
import { createReadStream, lstatSync, readdirSync, readlinkSync, type BigIntStats } from 'node:fs';
import { matchesGlob } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { hasCode } from '../lib/errors.ts';
import {
  ancestorsOf,
  displayPath,
  joinRaw,
  rawFromBytes,
  rawFromJson,
  rawToJson,
  under,
  type RawPath,
} from '../lib/raw-path.ts';

export type EntryType = 'file' | 'directory' | 'symlink' | 'special';

/** What is known of one entry of a tree: all that a restore must bring back, and what tells that nothing happened. */
export interface Entry {
  readonly path: RawPath;
  readonly type: EntryType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeNs: bigint;
  /** Changes with every change of content or metadata, and no program can set it. */
  readonly ctimeNs: bigint;
  readonly device: bigint;
  readonly inode: bigint;
  /** Names of it in this tree. */
  readonly links: number;
  readonly target?: string;
  readonly sha256?: string;
}

/** A tree and what of it does not count. */
export interface Root {
  /** Absolute. */
  readonly path: string;
  /** Relative paths that are left out, with everything under them. */
  readonly exclude: readonly string[];
  /** Patterns (`*.log`, `cache/**`) that are left out. */
  readonly patterns: readonly string[];
}

/**
 * Lists a tree, in the order of its paths, without reading contents. A root that does not exist is an empty list.
 * Entries that vanish while we look are left out.
 *
 * @param holders is given the folders in which something lies that the root leaves out
 */
export function scan(root: Root, holders = new Set<RawPath>()): Entry[] {
  const entries: Entry[] = [];
  const excluded = new Set(root.exclude);
  const visit = (folder: RawPath) => {
    const names = readNames(under(root.path, folder));
    for (const name of names) {
      const path = joinRaw(folder, name);
      const text = Buffer.from(path, 'latin1').toString('utf8');
      if (excluded.has(text) || root.patterns.some((pattern) => matchesGlob(text, pattern))) {
        for (const above of ancestorsOf(path)) holders.add(above);
        continue;
      }
      const entry = look(root.path, path);
      if (!entry) continue;
      entries.push(entry);
      if (entry.type === 'directory') visit(path);
    }
  };
  const top = look(root.path, '' as RawPath);
  if (top?.type !== 'directory') return [];
  entries.push(top);
  visit('' as RawPath);
  return withOwnLinks(entries);
}

/** Names outside the tree (a backup by hard links, say) come and go, and no restore of the tree brings them back. */
function withOwnLinks(entries: Entry[]): Entry[] {
  const names = new Map<string, number>();
  const identity = ({ device, inode }: Entry) => `${device}:${inode}`;
  for (const entry of entries)
    if (entry.links > 1) names.set(identity(entry), (names.get(identity(entry)) ?? 0) + 1);
  if (names.size === 0) return entries;
  return entries.map((entry) =>
    entry.links > 1 ? { ...entry, links: names.get(identity(entry)) ?? 1 } : entry,
  );
}

/** The entries of an inventory that a root does not leave out. In the order of a scan: a folder before what is in it. */
export function withoutLeftOut(root: Root, entries: readonly Entry[]): Entry[] {
  const excluded = new Set(root.exclude);
  let covered: string | undefined;
  return entries.filter(({ path }) => {
    if (covered !== undefined && path.startsWith(covered)) return false;
    const text = Buffer.from(path, 'latin1').toString('utf8');
    const isOut =
      path !== '' && (excluded.has(text) || root.patterns.some((pattern) => matchesGlob(text, pattern)));
    if (isOut) covered = `${path}/`;
    return !isOut;
  });
}

function readNames(folder: Buffer): RawPath[] {
  try {
    return readdirSync(folder, { encoding: 'buffer' }).map(rawFromBytes).toSorted();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

/** One entry as it is now, or undefined if there is none. */
export function look(root: string, path: RawPath): Entry | undefined {
  const full = under(root, path);
  let stat: BigIntStats;
  try {
    stat = lstatSync(full, { bigint: true });
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
  const type = typeOf(stat);
  return {
    path,
    type,
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: type === 'file' ? Number(stat.size) : 0,
    mtimeNs: stat.mtimeNs,
    ctimeNs: stat.ctimeNs,
    device: stat.dev,
    inode: stat.ino,
    links: type === 'directory' ? 1 : Number(stat.nlink),
    ...(type === 'symlink' ? { target: readlinkSync(full, { encoding: 'buffer' }).toString('latin1') } : {}),
  };
}

function typeOf(stat: BigIntStats): EntryType {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  return stat.isSymbolicLink() ? 'symlink' : 'special';
}

/** What the files of a tree take, in bytes; 0 where there is none. */
export function sizeOfTree(path: string): number {
  return scan({ path, exclude: [], patterns: [] }).reduce((sum, entry) => sum + entry.size, 0);
}

/** SHA-256 of a file's bytes, as hex. */
export async function sha256OfFile(path: string | Buffer): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}

/** The same entries with the checksum of every regular file; a file with several names is read once. */
export async function withChecksums(root: string, entries: readonly Entry[]): Promise<Entry[]> {
  const known = new Map<string, string>();
  const result: Entry[] = [];
  for (const entry of entries) {
    if (entry.type !== 'file') {
      result.push(entry);
      continue;
    }
    const identity = `${entry.device}:${entry.inode}`;
    const sha256 = known.get(identity) ?? (await sha256OfFile(under(root, entry.path)));
    if (entry.links > 1) known.set(identity, sha256);
    result.push({ ...entry, sha256 });
  }
  return result;
}

/** One line of an inventory file. */
export function encodeEntry(entry: Entry): string {
  const { path, mtimeNs, ctimeNs, device, inode, target, ...rest } = entry;
  return JSON.stringify({
    path: rawToJson(path),
    ...rest,
    mtimeNs: String(mtimeNs),
    ctimeNs: String(ctimeNs),
    device: String(device),
    inode: String(inode),
    ...(target === undefined ? {} : { target: rawToJson(target as RawPath) }),
  });
}

export function decodeEntry(line: string): Entry {
  const raw = JSON.parse(line) as Omit<Entry, 'mtimeNs'> &
    Record<'path' | 'mtimeNs' | 'ctimeNs' | 'device' | 'inode', string>;
  return {
    ...raw,
    path: rawFromJson(raw.path),
    mtimeNs: BigInt(raw.mtimeNs),
    ctimeNs: BigInt(raw.ctimeNs),
    device: BigInt(raw.device),
    inode: BigInt(raw.inode),
    ...(raw.target === undefined ? {} : { target: rawFromJson(raw.target) }),
  };
}

/** Quick proof that nothing happened to an entry: same inode, and the kernel's change time has not moved. */
export function isUntouched(before: Entry, now: Entry): boolean {
  return (
    before.inode === now.inode &&
    before.device === now.device &&
    before.ctimeNs === now.ctimeNs &&
    before.size === now.size &&
    before.mtimeNs === now.mtimeNs
  );
}

/** What differs between an entry as it was and as it is, contents left out; undefined when nothing does. */
export function describeDifference(before: Entry, now: Entry): string | undefined {
  if (before.type !== now.type) return `was a ${before.type}, is a ${now.type}`;
  if (before.type === 'symlink' && before.target !== now.target) return 'points elsewhere';
  if (before.mode !== now.mode && before.type !== 'symlink')
    return `mode ${before.mode.toString(8)} became ${now.mode.toString(8)}`;
  if (before.uid !== now.uid || before.gid !== now.gid)
    return `owner ${before.uid}:${before.gid} became ${now.uid}:${now.gid}`;
  if (before.size !== now.size) return `${before.size} bytes became ${now.size}`;
  if (before.mtimeNs !== now.mtimeNs) return 'modification time differs';
  if (before.links !== now.links) return `${before.links} hard links became ${now.links}`;
  return undefined;
}

/** A difference as a line for people. */
export function formatDifference(path: RawPath, what: string): string {
  return `${path === '' ? '.' : displayPath(path)}: ${what}`;
}
