import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { hasCode, messageOf, Refusal } from '../lib/errors.ts';
import { sha256OfFile } from './inventory.ts';
import {
  checksumFile,
  databaseDump,
  manifestFile,
  manifestSchema,
  snapshotFormat,
  type Manifest,
  type SnapshotPart,
  type VerifiedManifest,
} from './manifest.ts';

/** The ending of a snapshot that is being made. Such a folder is never read as a snapshot. */
export const unsealedSuffix = '.unsealed';

/** What ext4 keeps at the top of a disk: a disk of its own is a good place for snapshots. */
const lostAndFound = 'lost+found';
/** The checksums of the manifest that is about to take the place of the one that is there: see portable.ts. */
export const nextChecksumFile = `${checksumFile}.next`;
/** A dump that is being written. */
export const unfinishedDump = `${databaseDump}.unfinished`;
/** Beside an imported snapshot: when it came here. Not a part of it. */
export const importMark = 'imported.json';

/** A snapshot on disk, whose manifest could be read or not. */
export interface SnapshotListing {
  readonly id: string;
  readonly folder: string;
  readonly manifest: Manifest | undefined;
  /** Why the manifest cannot be used. */
  readonly problem?: string;
  /** It came here in an archive: a person asked for it, and nothing may be here of what it names. */
  readonly imported?: boolean;
  readonly sizeBytes: number;
}

/** Every sealed snapshot, newest first by its number, not by the clock. */
export function listSnapshots(backupsDirectory: string): SnapshotListing[] {
  if (!existsSync(backupsDirectory)) return [];
  return readdirSync(backupsDirectory, { withFileTypes: true })
    .filter(
      (entry) =>
        entry.isDirectory() &&
        !entry.name.startsWith('.') &&
        !entry.name.endsWith(unsealedSuffix) &&
        entry.name !== lostAndFound,
    )
    .map(({ name }) => readListing(backupsDirectory, name))
    .toSorted(
      (a, b) => (b.manifest?.sequence ?? 0) - (a.manifest?.sequence ?? 0) || b.id.localeCompare(a.id),
    );
}

function readListing(backupsDirectory: string, id: string): SnapshotListing {
  const folder = join(backupsDirectory, id);
  try {
    const manifest = readManifest(folder);
    const sizeBytes = manifest.parts.reduce((sum, part) => sum + part.sizeBytes, 0);
    return { id, folder, manifest, imported: existsSync(join(folder, importMark)), sizeBytes };
  } catch (error) {
    return { id, folder, manifest: undefined, problem: messageOf(error), sizeBytes: 0 };
  }
}

/** @throws Refusal if it is missing, unreadable, damaged, or of a format that this version does not know */
export function readManifest(folder: string): Manifest {
  let text: string;
  try {
    text = readFileSync(join(folder, manifestFile), 'utf8');
  } catch (error) {
    const why = hasCode(error, 'ENOENT') ? `it has no ${manifestFile}` : messageOf(error);
    throw new Refusal(`cannot use the snapshot ${folder}: ${why}`, './run.sh backup list');
  }
  return parseManifest(text, folder);
}

/**
 * @param where it comes from, for the message
 * @throws Refusal if it is damaged, or of a format that this version does not know
 */
export function parseManifest(text: string, where: string): Manifest {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    throw new Refusal(`cannot use the snapshot ${where}: its manifest is not JSON`, './run.sh backup list');
  }
  const format = typeof raw === 'object' && raw !== null && 'format' in raw ? raw.format : undefined;
  if (typeof format === 'number' && format > snapshotFormat) {
    throw new Refusal(
      `cannot use the snapshot ${where}: its format is ${format}, and this version reads formats up to ${snapshotFormat}`,
      'use the version of Holdfast that made it, or a newer one',
    );
  }
  const parsed = manifestSchema.safeParse(raw);
  if (!parsed.success) {
    const at = parsed.error.issues[0]?.path.join('.') ?? '';
    throw new Refusal(
      `cannot use the snapshot ${where}: its manifest is damaged at "${at}"`,
      './run.sh backup list',
    );
  }
  return parsed.data;
}

/** SHA-256 of the manifest's bytes: what the journal and the checksum file vouch for. */
export function manifestDigest(folder: string): string {
  return digestOf(readFileSync(join(folder, manifestFile)));
}

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** What `sha256sum --check` reads: the manifest first, then every part. */
export function checksumLines(digest: string, parts: readonly SnapshotPart[]): string {
  return [{ sha256: digest, name: manifestFile }, ...parts]
    .map(({ sha256, name }) => `${sha256}  ${name}\n`)
    .join('');
}

/**
 * Reads every part of a snapshot and compares it with the manifest, and the manifest with its own checksum. The folder
 * must bear the snapshot's name, and hold nothing else.
 *
 * @param options.strays 'ignore' for the recovery of an open run: what somebody laid into the folder harms no restore
 * @throws Refusal that names every part that is missing, cut, or changed
 */
export async function verifySnapshot(
  folder: string,
  options: { strays?: 'refuse' | 'ignore'; id?: string } = {},
): Promise<VerifiedManifest> {
  const manifest = readManifest(folder);
  const problems: string[] = [];
  const id = options.id ?? basename(folder);
  if (manifest.id !== id) problems.push(`${manifestFile} is that of ${manifest.id}`);
  const checksums = join(folder, checksumFile);
  const expected = checksumLines(manifestDigest(folder), manifest.parts);
  const next = join(folder, nextChecksumFile);
  if (!isFile(checksums)) problems.push(`${checksumFile} is missing`);
  else if (![checksums, next].some((file) => isFile(file) && readFileSync(file, 'utf8') === expected))
    problems.push(`${manifestFile} or ${checksumFile} is not what was sealed`);
  for (const part of manifest.parts) {
    const path = join(folder, part.name);
    if (!isFile(path)) problems.push(`${part.name} is missing`);
    else if (statSync(path).size !== part.sizeBytes)
      problems.push(`${part.name} has ${statSync(path).size} bytes instead of ${part.sizeBytes}`);
    else if ((await sha256OfFile(path)) !== part.sha256) problems.push(`${part.name} was changed`);
  }
  if (options.strays !== 'ignore') problems.push(...findStrays(folder, manifest));
  if (problems.length > 0)
    throw new Refusal(
      `cannot use the snapshot ${id}: ${problems.join('; ')}`,
      './run.sh backup list shows the others; ./run.sh backup verify checks them',
    );
  return manifest as VerifiedManifest;
}

/** The first of these whose every byte is what was sealed. */
export async function findWhole<T extends SnapshotListing>(listings: readonly T[]): Promise<T | undefined> {
  for (const listing of listings) {
    try {
      await verifySnapshot(listing.folder);
      return listing;
    } catch {
      // The next one may be whole.
    }
  }
  return undefined;
}

function findStrays(folder: string, { parts, volume }: Manifest): string[] {
  const known = new Set([manifestFile, checksumFile, importMark, ...parts.map(({ name }) => name)]);
  return readdirSync(folder)
    .filter((name) => !known.has(name) && !(volume !== undefined && isOfUnfinishedDump(name)))
    .map((name) => `${JSON.stringify(name).slice(1, -1)} does not belong to it`);
}

/** What `makePortable` leaves when it is killed; the next call goes on from there. */
function isOfUnfinishedDump(name: string): boolean {
  return (
    [nextChecksumFile, unfinishedDump, databaseDump].includes(name) || /^manifest\..*\.new-\d+$/.test(name)
  );
}

/** A link is not followed: nobody seals one. */
export function isFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
