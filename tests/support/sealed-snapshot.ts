import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from '../../orchestrator/snapshot/manifest.ts';
import { checksumLines, digestOf, manifestDigest, readManifest } from '../../orchestrator/snapshot/store.ts';
import { manifestWith } from '../unit/support/a-manifest.ts';

/** Parts of a snapshot that is about nothing. */
export const someParts: Readonly<Record<string, string>> = {
  'RESTORE.md': '# How to\n',
  'inventory.ndjson': 'b'.repeat(300),
  'registry.json': '[]\n',
};

export interface SealedFiles {
  readonly manifest: Manifest;
  /** Every file of it, the manifest and its checksum first. */
  readonly files: ReadonlyMap<string, Buffer>;
}

/** A snapshot that is whole, as bytes. */
export function sealedFiles(
  id: string,
  more: Partial<Manifest> = {},
  parts: Readonly<Record<string, string | Buffer>> = someParts,
): SealedFiles {
  const bytes = Object.entries(parts).map(([name, text]): [string, Buffer] => [name, Buffer.from(text)]);
  const manifest = manifestWith({
    id,
    parts: bytes.map(([name, content]) => ({
      name,
      sizeBytes: content.length,
      sha256: createHash('sha256').update(content).digest('hex'),
    })),
    ...more,
  });
  const text = Buffer.from(JSON.stringify(manifest));
  const sums = Buffer.from(checksumLines(digestOf(text), manifest.parts));
  return { manifest, files: new Map([['manifest.json', text], ['manifest.sha256', sums], ...bytes]) };
}

/** The same on disk. Returns its folder. */
export function seal(
  backups: string,
  id: string,
  ...how: [Partial<Manifest>?, Record<string, string | Buffer>?]
): string {
  const folder = join(backups, id);
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of sealedFiles(id, ...how).files) writeFileSync(join(folder, name), content);
  return folder;
}

/** Makes a changed manifest the one that was sealed. */
export function reseal(folder: string): void {
  const { parts } = readManifest(folder);
  writeFileSync(join(folder, 'manifest.sha256'), checksumLines(manifestDigest(folder), parts));
}
