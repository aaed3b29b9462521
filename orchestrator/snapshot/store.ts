import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { hasCode, messageOf, Refusal } from '../lib/errors.ts';
import { sha256OfFile } from './inventory.ts';
import { manifestSchema, snapshotFormat, type Manifest, type VerifiedManifest } from './manifest.ts';

/** The ending of a snapshot that is being made. Such a folder is never read as a snapshot. */
export const unsealedSuffix = '.unsealed';

/** What ext4 keeps at the top of a disk: a disk of its own is a good place for snapshots. */
const lostAndFound = 'lost+found';

/** A snapshot on disk, whose manifest could be read or not. */
export interface SnapshotListing {
  readonly id: string;
  readonly folder: string;
  readonly manifest: Manifest | undefined;
  /** Why the manifest cannot be used. */
  readonly problem?: string;
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
    return { id, folder, manifest, sizeBytes: manifest.parts.reduce((sum, part) => sum + part.sizeBytes, 0) };
  } catch (error) {
    return { id, folder, manifest: undefined, problem: messageOf(error), sizeBytes: 0 };
  }
}

/** @throws Refusal if it is missing, unreadable, damaged, or of a format that this version does not know */
export function readManifest(folder: string): Manifest {
  const path = join(folder, 'manifest.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const why = hasCode(error, 'ENOENT') ? 'it has no manifest.json' : messageOf(error);
    throw new Refusal(`cannot use the snapshot ${folder}: ${why}`, './run.sh backup list');
  }
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    throw new Refusal(`cannot use the snapshot ${folder}: its manifest is not JSON`, './run.sh backup list');
  }
  const format = typeof raw === 'object' && raw !== null && 'format' in raw ? raw.format : undefined;
  if (typeof format === 'number' && format > snapshotFormat) {
    throw new Refusal(
      `cannot use the snapshot ${folder}: its format is ${format}, and this version reads formats up to ${snapshotFormat}`,
      'use the version of Holdfast that made it, or a newer one',
    );
  }
  const parsed = manifestSchema.safeParse(raw);
  if (!parsed.success) {
    const where = parsed.error.issues[0]?.path.join('.') ?? '';
    throw new Refusal(
      `cannot use the snapshot ${folder}: its manifest is damaged at "${where}"`,
      './run.sh backup list',
    );
  }
  return parsed.data;
}

/** SHA-256 of the manifest's bytes: what the journal and the checksum file vouch for. */
export function manifestDigest(folder: string): string {
  return createHash('sha256')
    .update(readFileSync(join(folder, 'manifest.json')))
    .digest('hex');
}

/**
 * Reads every part of a snapshot and compares it with the manifest, and the manifest with its own checksum.
 *
 * @throws Refusal that names every part that is missing, cut, or changed
 */
export async function verifySnapshot(folder: string): Promise<VerifiedManifest> {
  const manifest = readManifest(folder);
  const problems: string[] = [];
  const checksum = join(folder, 'manifest.sha256');
  const expected = existsSync(checksum) ? readFileSync(checksum, 'utf8').slice(0, 64) : undefined;
  if (expected !== manifestDigest(folder)) problems.push('manifest.json is not what was sealed');
  for (const part of manifest.parts) {
    const path = join(folder, part.name);
    if (!existsSync(path)) problems.push(`${part.name} is missing`);
    else if (statSync(path).size !== part.sizeBytes)
      problems.push(`${part.name} has ${statSync(path).size} bytes instead of ${part.sizeBytes}`);
    else if ((await sha256OfFile(path)) !== part.sha256) problems.push(`${part.name} was changed`);
  }
  if (problems.length > 0) {
    throw new Refusal(
      `cannot use the snapshot ${manifest.id}: ${problems.join('; ')}`,
      './run.sh backup list shows the others; ./run.sh backup verify checks them',
    );
  }
  return manifest as VerifiedManifest;
}
