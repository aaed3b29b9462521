import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createZstdDecompress } from 'node:zlib';
import { Header } from 'tar';
import { hasCode, Refusal } from '../lib/errors.ts';
import { formatBytes, plural } from '../lib/units.ts';
import { checksumFile, manifestFile, type Manifest, type SnapshotPart } from './manifest.ts';
import { checksumLines, digestOf, parseManifest } from './store.ts';

/*
 * The archive of one snapshot, as `backup export` writes it: tar, compressed with zstd, plain files only:
 *
 *     ID/manifest.json  ID/manifest.sha256  ID/<part> ...
 *
 * It may come from anywhere, so it is read as a stream by the strictest reader there can be: the manifest comes first
 * and says which names follow and how long each is; nothing else is taken, whatever its header says. No name of the
 * archive becomes a path: parts are opened under the names that the manifest's own check let through.
 */

const blockBytes = 512;
/** A manifest of ten thousand tables has less than a tenth of this. */
const manifestLimitBytes = 64 * 1024 * 1024;
/** tar fills its last record up with zeros. */
const paddingLimitBytes = 1024 * 1024;

/** Where the bytes of an archive go. */
export interface ArchiveSink {
  /** The files beside the parts: both small, both checked already. */
  text(name: string, bytes: Buffer): void;
  begin(part: SnapshotPart): void;
  write(chunk: Buffer): void;
  /** The part is whole, and what the manifest says. */
  end(): void;
}

/**
 * Reads an archive to its end and checks every byte of it against its manifest.
 *
 * @param accept decides by the manifest, before anything else is read, where the parts go; undefined: only check
 * @throws Refusal that says what is wrong with it
 */
export async function readArchive(
  file: string,
  accept: (manifest: Manifest, digest: string) => ArchiveSink | undefined,
): Promise<{ manifest: Manifest; digest: string }> {
  const source = createReadStream(file);
  const plain = source.pipe(createZstdDecompress());
  source.on('error', (error) => plain.destroy(error));
  const bytes = new Bytes(plain, file);
  try {
    const first = await readHeader(bytes, file);
    const [id, name, more] = first?.path.split('/') ?? [];
    if (!first || id === undefined || name !== manifestFile || more !== undefined)
      throw notOne(file, `it does not begin with ${manifestFile}`);
    const manifestBytes = await readSmall(bytes, first.size, file, manifestFile);
    const manifest = parseManifest(manifestBytes.toString('utf8'), `in ${file}`);
    if (manifest.id !== id)
      throw notOne(file, `the manifest of ${manifest.id} lies under the name ${JSON.stringify(id)}`);
    const digest = digestOf(manifestBytes);
    const sink = accept(manifest, digest);
    sink?.text(manifestFile, manifestBytes);
    await readChecksums(bytes, file, manifest, digest, sink);
    await readParts(bytes, file, manifest, sink);
    await bytes.expectEnd();
    return { manifest, digest };
  } finally {
    source.destroy();
    plain.destroy();
  }
}

async function readChecksums(
  bytes: Bytes,
  file: string,
  manifest: Manifest,
  digest: string,
  sink: ArchiveSink | undefined,
): Promise<void> {
  const header = await readHeader(bytes, file);
  const expected = Buffer.from(checksumLines(digest, manifest.parts));
  if (header?.path !== `${manifest.id}/${checksumFile}`)
    throw notOne(file, `${checksumFile} does not follow the manifest`);
  const found = await readSmall(bytes, header.size, file, checksumFile);
  if (!found.equals(expected))
    throw notOne(file, `${manifestFile} or ${checksumFile} is not what was sealed`);
  sink?.text(checksumFile, found);
}

/** Every part that the manifest names, each once, each as long as it says and with its checksum; and nothing else. */
async function readParts(
  bytes: Bytes,
  file: string,
  manifest: Manifest,
  sink: ArchiveSink | undefined,
): Promise<void> {
  const missing = new Map(manifest.parts.map((part) => [`${manifest.id}/${part.name}`, part]));
  for (let header = await readHeader(bytes, file); header; header = await readHeader(bytes, file)) {
    const part = missing.get(header.path);
    if (!part)
      throw notOne(
        file,
        `it holds ${printable(header.path)}, which the manifest does not name or which came before`,
      );
    if (header.size !== part.sizeBytes)
      throw notOne(
        file,
        `${part.name} is said to have ${formatBytes(header.size)}, and ${formatBytes(part.sizeBytes)} in the manifest`,
      );
    missing.delete(header.path);
    const hash = createHash('sha256');
    sink?.begin(part);
    await bytes.take(part.sizeBytes, (chunk) => {
      hash.update(chunk);
      sink?.write(chunk);
    });
    if (hash.digest('hex') !== part.sha256) throw notOne(file, `${part.name} is not what its checksum says`);
    sink?.end();
    await bytes.padding(part.sizeBytes);
  }
  if (missing.size > 0)
    throw notOne(file, `it lacks ${plural(missing.size, 'part')}, such as ${[...missing.values()][0]?.name}`);
}

/** The next plain file's name and length; undefined at the archive's end. Anything but a plain file is refused. */
async function readHeader(bytes: Bytes, file: string): Promise<{ path: string; size: number } | undefined> {
  const block = await bytes.read(blockBytes);
  if (block.every((byte) => byte === 0)) return undefined;
  let header: Header;
  try {
    header = new Header(block, 0);
  } catch {
    throw notOne(file, 'one of its headers cannot be read');
  }
  const { path, size, type, cksumValid } = header;
  if (!cksumValid || path === undefined || size === undefined)
    throw notOne(file, 'it is no tar archive, or damaged');
  if (type !== 'File')
    throw notOne(file, `${printable(path)} is a ${type}, and a snapshot holds plain files only`);
  if (!Number.isSafeInteger(size) || size < 0)
    throw notOne(file, `${printable(path)} has no possible length`);
  return { path, size };
}

async function readSmall(bytes: Bytes, size: number, file: string, name: string): Promise<Buffer> {
  if (size > manifestLimitBytes)
    throw notOne(
      file,
      `its ${name} has ${formatBytes(size)}, and none needs more than ${formatBytes(manifestLimitBytes)}`,
    );
  const chunks: Buffer[] = [];
  await bytes.take(size, (chunk) => chunks.push(chunk));
  await bytes.padding(size);
  return Buffer.concat(chunks);
}

function notOne(file: string, why: string): Refusal {
  return new Refusal(
    `cannot use ${file}: ${why}`,
    './run.sh backup export writes such archives; fetch it again from where it was made',
  );
}

const printable = (text: string) => JSON.stringify(text.slice(0, 200));

/** The bytes of a stream, taken piece by piece. Holds one chunk at a time. */
class Bytes {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #file: string;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Buffer>, file: string) {
    this.#chunks = stream[Symbol.asyncIterator]();
    this.#file = file;
  }

  async read(count: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    await this.take(count, (chunk) => chunks.push(chunk));
    return Buffer.concat(chunks);
  }

  /** Gives exactly so many bytes away, in pieces. */
  async take(count: number, give: (chunk: Buffer) => void): Promise<void> {
    for (let left = count; left > 0;) {
      if (this.#rest.length === 0 && !(await this.#next())) throw notOne(this.#file, 'it is cut short');
      const chunk = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(chunk.length);
      left -= chunk.length;
      give(chunk);
    }
  }

  /** Entries begin at multiples of 512 bytes. */
  async padding(size: number): Promise<void> {
    await this.take((blockBytes - (size % blockBytes)) % blockBytes, () => {});
  }

  /** After the archive's end there are zeros, and not many. */
  async expectEnd(): Promise<void> {
    let seen = 0;
    while (this.#rest.length > 0 || (await this.#next())) {
      seen += this.#rest.length;
      if (seen > paddingLimitBytes || this.#rest.some((byte) => byte !== 0))
        throw notOne(this.#file, 'something follows after its end');
      this.#rest = Buffer.alloc(0);
    }
    if (seen < blockBytes) throw notOne(this.#file, 'it is cut short');
  }

  async #next(): Promise<boolean> {
    try {
      const { value, done } = await this.#chunks.next();
      if (done === true) return false;
      this.#rest = value;
      return true;
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'EACCES', 'EISDIR', 'EIO')) throw error;
      throw notOne(this.#file, 'it is not compressed with zstd, damaged, or cut short');
    }
  }
}
