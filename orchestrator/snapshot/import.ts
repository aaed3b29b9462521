import {
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { fsyncDirectory, writeFileAtomic } from '../lib/atomic-file.ts';
import { hasCode, messageOf, Refusal } from '../lib/errors.ts';
import { removeTree } from '../lib/remove-tree.ts';
import { shellWord } from '../lib/shell-word.ts';
import { formatBytes } from '../lib/units.ts';
import { readArchive, type ArchiveSink } from './archive-reader.ts';
import { barrier } from './barrier.ts';
import { dropUnsealed, ensureBackupsFolder } from './draft.ts';
import { inspectFiles } from './inspect-archive.ts';
import type { Manifest } from './manifest.ts';
import { importMark, manifestDigest, unsealedSuffix, verifySnapshot } from './store.ts';

/** What stays free on the disk whatever is imported. */
const marginBytes = 128 * 1024 * 1024;

export interface Imported {
  readonly manifest: Manifest;
  readonly folder: string;
  /** The very same snapshot was here: nothing was written. */
  readonly wasHere: boolean;
}

/**
 * Brings the snapshot of an archive in. It is written to a staging folder that nobody reads as a snapshot, verified
 * there as a whole, and sealed by a rename. Whatever is wrong with the archive, nothing is written elsewhere and
 * nothing is left. Under the lock only. May be run twice.
 *
 * @param options.otherAppliance take one of an appliance of another name as well
 * @throws Refusal that says what is wrong
 */
export async function importSnapshot(
  appliance: Appliance,
  archive: string,
  options: { otherAppliance: boolean },
): Promise<Imported> {
  const { backupsDirectory } = appliance;
  const file = resolve(archive);
  verifyReadable(file);
  ensureBackupsFolder(backupsDirectory);
  // Under the lock nobody makes a snapshot: what is unsealed was left by something that was killed.
  dropUnsealed(backupsDirectory);
  const staging = join(backupsDirectory, `import-${process.pid}${unsealedSuffix}`);
  let wasHere = false;
  let writer: Writer | undefined;
  const accept = (manifest: Manifest, digest: string): ArchiveSink | undefined => {
    verifyName(appliance, manifest, file, options.otherAppliance);
    wasHere = isHere(join(backupsDirectory, manifest.id), manifest.id, digest, file);
    if (wasHere) return undefined;
    verifyRoom(backupsDirectory, manifest, file);
    mkdirSync(staging, { mode: 0o700 });
    writer = writerInto(staging);
    return writer;
  };
  try {
    const { manifest } = await readArchive(file, accept);
    const folder = join(backupsDirectory, manifest.id);
    if (wasHere) {
      await verifySnapshot(folder);
      return { manifest, folder, wasHere };
    }
    await verifySnapshot(staging, { id: manifest.id });
    const wrong = await inspectFiles(manifest, staging);
    if (wrong.length > 0) throw new Refusal(`cannot use ${file}: ${wrong.join('; ')}`);
    writeFileAtomic(join(staging, importMark), `${JSON.stringify({ at: new Date().toISOString() })}\n`);
    await barrier(appliance);
    renameSync(staging, folder);
    fsyncDirectory(backupsDirectory);
    return { manifest, folder, wasHere };
  } catch (error) {
    if (hasCode(error, 'ENOSPC', 'EDQUOT'))
      throw new Refusal(
        `cannot import ${file}: the disk of ${backupsDirectory} is full`,
        'free some (./run.sh backup prune), or set backups.directory to another disk',
        error,
      );
    throw error;
  } finally {
    writer?.close();
    removeTree(staging);
  }
}

function verifyReadable(file: string): void {
  let is;
  try {
    is = statSync(file, { throwIfNoEntry: false });
  } catch (error) {
    throw new Refusal(`cannot read ${file}: ${messageOf(error)}`);
  }
  if (!is) throw new Refusal(`cannot import ${file}: there is no such file`);
  if (!is.isFile()) throw new Refusal(`cannot import ${file}: it is not a plain file`);
}

function verifyName({ config }: Appliance, manifest: Manifest, file: string, any: boolean): void {
  const name = manifest.configuration.name;
  if (name === config.name || any) return;
  throw new Refusal(
    `cannot import ${file}: it holds a snapshot of the appliance ${JSON.stringify(name)}, and this one is "${config.name}"`,
    `if that is meant: ./run.sh backup import ${shellWord(file)} --other-appliance`,
  );
}

/** True if this very snapshot is here. Throws Refusal if another one bears its name. */
function isHere(folder: string, id: string, digest: string, file: string): boolean {
  if (!existsSync(folder)) return false;
  let here = '';
  try {
    here = manifestDigest(folder);
  } catch {
    // A folder without a manifest is another one.
  }
  if (here === digest) return true;
  throw new Refusal(
    `cannot import ${file}: there is another snapshot ${id} already, and none is ever overwritten`,
    `./run.sh backup verify ${id}; if it is damaged: mv ${shellWord(folder)} elsewhere, then import again`,
  );
}

/** Parts can take no more than the manifest says, and no more than there is. */
function verifyRoom(backupsDirectory: string, manifest: Manifest, file: string): void {
  const { bavail, bsize } = statfsSync(backupsDirectory);
  const free = bavail * bsize - marginBytes;
  const needed = manifest.parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (needed <= free) return;
  throw new Refusal(
    `cannot import ${file}: its parts take ${formatBytes(needed)}, and ${formatBytes(Math.max(0, free))} can be used at ${backupsDirectory}`,
    'free some (./run.sh backup prune removes old snapshots), or set backups.directory to another disk',
  );
}

interface Writer extends ArchiveSink {
  /** For one that was refused in the middle of a part. May be called twice. */
  close(): void;
}

/** New files only, 0600 from the start, durable when they end. */
function writerInto(staging: string): Writer {
  let descriptor: number | undefined;
  const open = (name: string) => {
    const opened = openSync(join(staging, name), 'wx', 0o600);
    fchmodSync(opened, 0o600);
    return opened;
  };
  const close = () => {
    if (descriptor !== undefined) closeSync(descriptor);
    descriptor = undefined;
  };
  return {
    text: (name, bytes) => writeFileAtomic(join(staging, name), bytes),
    begin: ({ name }) => {
      descriptor = open(name);
    },
    write: (chunk) => {
      if (descriptor === undefined) return;
      for (let at = 0; at < chunk.length;) at += writeSync(descriptor, chunk, at);
    },
    end: () => {
      if (descriptor !== undefined) fsyncSync(descriptor);
      close();
    },
    close,
  };
}
