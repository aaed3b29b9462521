import { list, type ReadEntry } from 'tar';
import { join } from 'node:path';
import { messageOf } from '../lib/errors.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { isArchived, readInventory } from './files.ts';
import type { Manifest } from './manifest.ts';

/**
 * Looks into the parts of a snapshot, beyond their checksums: every archive is read to its end in process and must
 * hold exactly the entries of its inventory, none of which leads out of the root; the dump's own list must be readable.
 *
 * @returns what is wrong, as lines for people; empty when nothing is
 */
export async function inspectParts(
  runtime: Runtime,
  manifest: Manifest,
  folder: string,
  pgRestore: string | undefined,
): Promise<string[]> {
  const problems: string[] = [];
  for (const root of manifest.roots) {
    if (!root.present) continue;
    try {
      const names = await listArchive(join(folder, root.archive));
      const known = new Set(
        readInventory(join(folder, root.inventory))
          .filter(isArchived)
          .map((entry) => Buffer.from(entry.path === '' ? '.' : entry.path, 'latin1').toString('utf8')),
      );
      const missing = [...known].filter((name) => !names.has(name));
      const unknown = [...names].filter((name) => !known.has(name));
      const escaping = [...names].filter((name) => name.startsWith('/') || name.split('/').includes('..'));
      if (missing.length > 0)
        problems.push(
          `${root.archive} lacks ${missing.length} entries of its inventory, such as ${missing[0]}`,
        );
      if (unknown.length > 0)
        problems.push(
          `${root.archive} holds ${unknown.length} entries that its inventory lacks, such as ${unknown[0]}`,
        );
      if (escaping.length > 0)
        problems.push(`${root.archive} holds names that lead out of it, such as ${escaping[0]}`);
    } catch (error) {
      problems.push(`${root.archive} cannot be read to its end: ${messageOf(error)}`);
    }
  }
  if (manifest.database && pgRestore !== undefined) {
    const result = await runtime.run(
      { file: pgRestore, args: ['--list', join(folder, 'database.dump')], label: 'pg_restore --list' },
      { allowFailure: true },
    );
    if (result.exitCode !== 0) problems.push(`database.dump cannot be read: ${result.stderr.trim()}`);
  }
  return problems;
}

/** The names of an archive's entries, without the slash that ends a folder's. */
async function listArchive(file: string): Promise<Set<string>> {
  const names = new Set<string>();
  await list({
    file,
    strict: true,
    onReadEntry: (entry: ReadEntry) => {
      names.add(entry.path.replace(/\/+$/, '') || '.');
    },
  });
  return names;
}
