import { writeFileSync } from 'node:fs';
import { zstdCompressSync } from 'node:zlib';
import { Header, type types } from 'tar';
import type { SealedFiles } from './sealed-snapshot.ts';

/** One entry of an archive, with a header that says whatever it likes. */
export interface ArchiveEntry {
  readonly path: string;
  readonly content?: Buffer | string;
  readonly type?: types.EntryTypeName;
  readonly linkpath?: string;
  /** What the header says, should it not be the truth. */
  readonly size?: number;
}

const block = 512;

/** The bytes of a tar archive, not compressed. */
export function tarOf(entries: readonly ArchiveEntry[]): Buffer {
  const parts: Buffer[] = [];
  for (const { path, content = '', type = 'File', linkpath, size } of entries) {
    const bytes = Buffer.from(content);
    const head = Buffer.alloc(block);
    new Header({
      path,
      type,
      ...(linkpath === undefined ? {} : { linkpath }),
      size: size ?? bytes.length,
      mode: 0o644,
      uid: 0,
      gid: 0,
    }).encode(head);
    parts.push(head, bytes, Buffer.alloc((block - (bytes.length % block)) % block));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * block)]);
}

export function writeArchive(file: string, entries: readonly ArchiveEntry[]): string {
  writeFileSync(file, zstdCompressSync(tarOf(entries)));
  return file;
}

/** The entries of an archive that `backup export` would write. */
export function entriesOf({ manifest, files }: SealedFiles): ArchiveEntry[] {
  return [...files].map(([name, content]) => ({ path: `${manifest.id}/${name}`, content }));
}
