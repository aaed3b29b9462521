import { join } from 'node:path';
import type { DatabaseFacts } from '../database/database-facts.ts';
import type { Database } from '../database/engine.ts';
import { messageOf } from '../lib/errors.ts';
import { databaseDump, holdsDatabase, holdsDump } from './manifest.ts';
import type { RestoreOptions } from './restore.ts';

/** Keeps everybody out of what is to be replaced. A server that does not run is no obstacle where its volume comes back. */
export async function secludeDatabase(options: RestoreOptions): Promise<void> {
  const { database } = options.appliance;
  try {
    await database?.ensureRunning();
    await database?.seclude();
  } catch (error) {
    if ((await findCopy(options)) === undefined) throw error;
    options.note?.(`the database server does not run, and comes back with its volume (${messageOf(error)})`);
  }
}

/** The database as the manifest says, by the copy of its volume or from the dump. May be run twice. */
export async function restoreDatabase(options: RestoreOptions): Promise<void> {
  const { appliance, manifest, folder, mark } = options;
  const { database } = appliance;
  if (!database || !manifest.database || database.isShared === true) return;
  const copy = await findCopy(options);
  if (copy !== undefined) {
    options.note?.(`putting a copy of ${copy} in the place of the database`);
    await database.copies?.putBack(copy, manifest.database, mark);
    return;
  }
  if (!holdsDatabase(manifest)) {
    await database.copies?.takeBack(options.runId);
    await swapBack(options, database, manifest.database);
    return;
  }
  await database.ensureRunning();
  if (!holdsDump(manifest))
    throw new Error(
      `the copy of the database, the volume ${manifest.volume}, is gone, and there is no dump of it`,
    );
  let pair = options.replacement;
  if (pair === undefined || !(await database.hasReplacement(pair))) {
    options.note?.(`restoring the database ${manifest.database.name}`);
    pair = await database.prepareReplacement(join(folder, databaseDump), manifest.database, mark);
    options.announceReplacement(pair);
  }
  await database.swap(pair, manifest.database, mark);
}

/**
 * The copy to restore from, by name. It holds all that is on the server: with others' databases there the dump is taken,
 * which knows of one alone. A server that cannot be asked cannot restore a dump either.
 */
async function findCopy({ appliance, manifest }: RestoreOptions): Promise<string | undefined> {
  const { volume } = manifest;
  const copies = appliance.database?.copies;
  if (volume === undefined || !copies || !(await copies.has(volume))) return undefined;
  if (!holdsDump(manifest)) return volume;
  const isUsable = await copies.areUsable().catch(() => true);
  return isUsable ? volume : undefined;
}

/**
 * A rollback over a database that could not be read made no dump of it: but nothing is dropped within a run, so that it
 * is still on the server, under another name, and takes its own one again. May be run twice.
 */
async function swapBack(
  { forward, mark, note }: RestoreOptions,
  database: Database,
  facts: DatabaseFacts,
): Promise<void> {
  if (!forward) return;
  await database.ensureRunning();
  const pair = { live: forward.replacement, replacement: forward.live };
  // 0 is none: it was gone before that rollback, and is to be gone again.
  if (pair.replacement !== 0 && !(await database.hasReplacement(pair)))
    throw new Error('the database that was set aside is gone from the server');
  note?.(`taking the database ${facts.name} back as it was`);
  await database.swap(pair, facts, mark);
}
