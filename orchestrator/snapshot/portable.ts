import { chmodSync, closeSync, openSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { fsyncFile, renameDurably, writeFileAtomic } from '../lib/atomic-file.ts';
import { Refusal } from '../lib/errors.ts';
import { sha256OfFile } from './inventory.ts';
import { checksumFile, databaseDump, holdsDump, manifestFile } from './manifest.ts';
import {
  checksumLines,
  digestOf,
  isFile,
  manifestDigest,
  nextChecksumFile,
  readManifest,
  unfinishedDump,
} from './store.ts';

/**
 * Gives a snapshot whose database is a copy of a volume its dump, made from that copy while the appliance serves: from then
 * on it brings everything back on any machine. Killed at any instant, it leaves a snapshot that is as whole as it was. Runs
 * under the lock only. May be run twice.
 *
 * @returns whether there was anything to do
 * @throws Refusal if the copy is gone
 */
export async function makePortable(
  { database }: Pick<Appliance, 'database'>,
  folder: string,
  signal?: AbortSignal,
): Promise<boolean> {
  settle(folder);
  const manifest = readManifest(folder);
  const { volume } = manifest;
  if (volume === undefined || !manifest.database || holdsDump(manifest)) return false;
  if (!isSealed(folder))
    throw new Refusal(
      `cannot make a dump for the snapshot ${manifest.id}: ${manifestFile} or ${checksumFile} is not what was sealed`,
      './run.sh backup verify',
    );
  if ((await database?.copies?.has(volume)) !== true)
    throw new Refusal(
      `cannot make a dump for the snapshot ${manifest.id}: the volume ${volume} is gone`,
      './run.sh backup list',
    );
  const [unfinished, dump] = [join(folder, unfinishedDump), join(folder, databaseDump)];
  rmSync(unfinished, { force: true });
  // Made here, since pg_dump would make it as readable as the umask lets it.
  closeSync(openSync(unfinished, 'w', 0o600));
  await database?.copies?.dump(volume, manifest.database, unfinished, signal);
  chmodSync(unfinished, 0o600);
  fsyncFile(unfinished);
  renameDurably(unfinished, dump);
  const part = { name: databaseDump, sizeBytes: statSync(dump).size, sha256: await sha256OfFile(dump) };
  const parts = [...manifest.parts, part].toSorted((one, other) => (one.name < other.name ? -1 : 1));
  const text = `${JSON.stringify({ ...manifest, parts }, null, 2)}\n`;
  // Whichever of the two manifests a kill leaves, there are checksums that fit it.
  writeFileAtomic(join(folder, nextChecksumFile), checksumLines(digestOf(Buffer.from(text)), parts));
  writeFileAtomic(join(folder, manifestFile), text);
  settle(folder);
  return true;
}

/** What a kill left behind between manifest and checksums, and of files that were not written to their end. */
function settle(folder: string): void {
  for (const name of readdirSync(folder)) if (/\.new-\d+$/.test(name)) rmSync(join(folder, name));
  const next = join(folder, nextChecksumFile);
  if (!isFile(next)) return;
  if (isSealed(folder, nextChecksumFile)) renameDurably(next, join(folder, checksumFile));
  else rmSync(next);
}

/** Whether the manifest is the one that these checksums were made of. What damages a part is seen when it is read. */
function isSealed(folder: string, file = checksumFile): boolean {
  const path = join(folder, file);
  const expected = checksumLines(manifestDigest(folder), readManifest(folder).parts);
  return isFile(path) && readFileSync(path, 'utf8') === expected;
}
