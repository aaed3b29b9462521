import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createZstdDecompress } from 'node:zlib';
import { Parser, type ReadEntry } from 'tar';
import { messageOf } from '../lib/errors.ts';
import { ancestorsOf, displayPath, type RawPath } from '../lib/raw-path.ts';
import { isArchived, readInventory } from './files.ts';
import type { Entry } from './inventory.ts';
import type { Manifest, SnapshotRoot } from './manifest.ts';

/**
 * Looks into the archives of a snapshot, beyond their checksums: each is read to its end in process and must hold
 * exactly the entries of its inventory, none of which leads out of the root. Nothing is unpacked.
 *
 * @returns what is wrong, as lines for people; empty when nothing is
 */
export async function inspectFiles(manifest: Manifest, folder: string): Promise<string[]> {
  const problems: string[] = [];
  for (const root of manifest.roots.filter(({ present }) => present)) {
    try {
      problems.push(...(await inspectRoot(root, folder)));
    } catch (error) {
      problems.push(`${root.archive} cannot be read to its end: ${messageOf(error)}`);
    }
  }
  return problems;
}

async function inspectRoot(root: SnapshotRoot, folder: string): Promise<string[]> {
  const inventory = readInventory(join(folder, root.inventory));
  const escaping = inventory.find(leadsOut(inventory));
  if (escaping) return [`${root.inventory} names what leads out of it: ${displayPath(escaping.path)}`];
  const names = await listArchive(join(folder, root.archive), limitFor(inventory));
  const known = new Set(
    inventory
      .filter(isArchived)
      .map(({ path }) => Buffer.from(path === '' ? '.' : path, 'latin1').toString('utf8')),
  );
  const [missing] = [...known].filter((name) => !names.has(name));
  const [unknown] = [...names].filter((name) => !known.has(name));
  return [
    ...(missing === undefined
      ? []
      : [`${root.archive} lacks an entry of its inventory: ${JSON.stringify(missing)}`]),
    ...(unknown === undefined
      ? []
      : [`${root.archive} holds an entry that its inventory lacks: ${JSON.stringify(unknown)}`]),
  ];
}

/** Whether an entry lies outside of the root, by its name or behind a link. */
function leadsOut(inventory: readonly Entry[]): (entry: Entry) => boolean {
  const folders = new Set<RawPath>(
    inventory.filter(({ type }) => type === 'directory').map(({ path }) => path),
  );
  return ({ path }) =>
    path.startsWith('/') ||
    path.split('/').includes('..') ||
    ancestorsOf(path).some((above) => !folders.has(above));
}

/** What an archive can grow to that holds these entries: twice their bytes, and room for attributes of each. */
function limitFor(inventory: readonly Entry[]): number {
  const bytes = inventory.reduce((sum, { size }) => sum + size, 0);
  return 2 * bytes + 256 * 1024 * (inventory.length + 8);
}

/**
 * GNU tar keeps a file with holes under `folder/GNUSparseFile.<pid>/name`, and its own name in an extended header that
 * the library does not read.
 */
function nameOf({ path }: ReadEntry): string {
  return path.replace(/(^|\/)GNUSparseFile\.\d+\/([^/]+)$/, '$1$2').replace(/\/+$/, '') || '.';
}

/** The names of an archive's entries, without the slash that ends a folder's. */
async function listArchive(file: string, limitBytes: number): Promise<Set<string>> {
  const names = new Set<string>();
  let problem: unknown;
  const parser = new Parser({
    strict: true,
    onReadEntry: (entry: ReadEntry) => {
      names.add(nameOf(entry));
      entry.resume();
    },
  });
  parser.on('error', (error: unknown) => {
    problem ??= error;
  });
  const ended = new Promise<void>((resolve) => {
    parser.on('end', resolve);
    parser.on('error', () => resolve());
  });
  const source = createReadStream(file);
  const plain = source.pipe(createZstdDecompress());
  source.on('error', (error) => plain.destroy(error));
  let seen = 0;
  try {
    for await (const chunk of plain as AsyncIterable<Buffer>) {
      seen += chunk.length;
      if (seen > limitBytes) throw new Error('it grows beyond what its inventory says');
      parser.write(chunk);
      if (problem !== undefined) break;
    }
    parser.end();
    await ended;
  } finally {
    source.destroy();
    plain.destroy();
  }
  if (problem !== undefined) throw problem instanceof Error ? problem : new Error(messageOf(problem));
  return names;
}
