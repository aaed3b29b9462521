import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { messageOf } from '../lib/errors.ts';
import { removeTree } from '../lib/remove-tree.ts';
import { releaseReserves, releaseInPlaces } from '../snapshot/reserve.ts';
import { findForRollback, findForUndo, goodOnes, wasRestored, type Choice } from '../snapshot/choose.ts';
import { holdsDatabase, holdsDump, type Manifest } from '../snapshot/manifest.ts';
import { makePortable } from '../snapshot/portable.ts';
import { findMissingProducts } from '../snapshot/products.ts';
import { prune, type Pruned, type PruneOptions } from '../snapshot/retention.ts';
import { isSuddenlyEmpty, newestWithRows } from '../snapshot/rows.ts';
import { listSnapshots, type SnapshotListing } from '../snapshot/store.ts';
import { registryPath } from '../snapshot/registry.ts';
import { isDescendant, readHead } from '../tools/git-facts.ts';
import { tryReadJournal } from './journal.ts';
import type { Run } from './run.ts';

/**
 * After a run: notes what is installed now, and removes what nobody needs any more. What a failed update made stays
 * until the next run, for whoever looks into it.
 */
export async function collectAfterRun(
  appliance: Appliance,
  run: Run,
  end: 'done' | 'restored',
): Promise<void> {
  releaseReserves(appliance, run.id);
  await releaseInPlaces(appliance);
  removeTree(join(run.folder, 'code'));
  removeTree(join(run.folder, 'work'));
  if (end === 'done' && run.started.kind !== 'backup') noteInstalled(appliance, run.started.to);
  await pruneSnapshots(appliance, { currentRun: run.id });
  await makeAllPortable(appliance);
}

/**
 * Gives every snapshot whose database is a copy of a volume its dump, what an earlier run could not do as well.
 *
 * @throws Error that names those that have none yet
 */
async function makeAllPortable(appliance: Appliance): Promise<void> {
  if (!appliance.database?.copies) return;
  const choice = await readChoice(appliance);
  const failed: string[] = [];
  for (const one of goodOnes(choice)) {
    if (wasRestored(choice, one) || one.manifest.volume === undefined || holdsDump(one.manifest)) continue;
    appliance.say(`writing the dump of ${one.id} from its copy, while the appliance serves ...`);
    try {
      await makePortable(appliance, one.folder);
    } catch (error) {
      failed.push(`${one.id} (${messageOf(error)})`);
    }
  }
  if (failed.length > 0)
    throw new Error(
      `no dump could be made yet for ${failed.join(', ')}: a rollback works, an export does not. The next run tries again`,
    );
}

/**
 * Prunes, but keeps what `rollback` and `rollback --undo` would take now, the last good snapshot, and the last one with
 * rows in its database. Runs under the lock only. May be run twice.
 */
export async function pruneSnapshots(appliance: Appliance, options: PruneOptions): Promise<Pruned> {
  const choice = await readChoice(appliance);
  const undo = findForUndo(choice)?.id;
  const protect = [
    findForRollback(choice)?.id,
    undo,
    goodOnes(choice)[0]?.id,
    newestWithRows(choice.listings)?.id,
    options.currentRun,
  ].filter((id) => id !== undefined);
  const goesFirst = (one: SnapshotListing) =>
    wasRestored(choice, one) ||
    // --undo takes the newest one only.
    (one.manifest?.kind === 'before-rollback' && one.id !== undo) ||
    isSuddenlyEmpty(one, choice.listings) ||
    (one.manifest !== undefined && choice.spent?.(one.manifest) !== undefined);
  const databasesOf = (run: string) => namedInJournal(appliance, run);
  return await prune(appliance, { protect, goesFirst, databasesOf }, options);
}

/** Databases that the journal of a run speaks of, by OID. */
function namedInJournal({ state }: Appliance, run: string): number[] {
  const records = tryReadJournal(join(state.run(run), 'journal.ndjson')) ?? [];
  return records.flatMap((record) =>
    record.type === 'database-replacement' ? [record.live, record.replacement] : [],
  );
}

/** What `rollback` chooses from: the snapshots, and which of their commits the installed one descends from. */
export async function readChoice(appliance: Appliance): Promise<Choice> {
  const { runtime, directory, backupsDirectory } = appliance;
  const { commit } = await readHead(runtime, directory);
  const listings = listSnapshots(backupsDirectory);
  const older = new Set<string>();
  for (const other of new Set(listings.flatMap(({ manifest }) => manifest?.commit ?? []))) {
    if (await isDescendant(runtime, directory, other, commit)) older.add(other);
  }
  // Where the storage does not answer, nothing is known to be gone.
  const volumes = await appliance.database?.copies?.list().catch(() => undefined);
  return {
    listings,
    commit,
    committed: (run) => wasCommitted(appliance, run),
    isOlder: (other) => older.has(other),
    spent: whySpent(appliance, volumes),
  };
}

/** Why a snapshot alone brings nothing back here any more. */
function whySpent(
  appliance: Appliance,
  volumes: readonly string[] | undefined,
): (manifest: Manifest) => string | undefined {
  const missingOf = findMissingProducts(appliance);
  return (manifest) => {
    if (!holdsDatabase(manifest)) return 'its database could not be read when it was made';
    const { volume } = manifest;
    if (volume !== undefined && !holdsDump(manifest) && volumes?.includes(volume) === false)
      return `the volume ${volume} with its database is gone, and no dump was made of it`;
    const missing = missingOf(manifest);
    if (missing.length === 0) return undefined;
    return `${missing.join(', ')} of that version ${missing.length === 1 ? 'is' : 'are'} not kept here`;
  };
}

/** What the run's own journal says; undefined where it is not kept any more. */
function wasCommitted(appliance: Appliance, run: string): boolean | undefined {
  const records = tryReadJournal(join(appliance.state.run(run), 'journal.ndjson')) ?? [];
  return records.length === 0 ? undefined : records.some(({ type }) => type === 'committed');
}

/** Notes that the appliance is set up, at which commit, and whether it keeps a registry: one that is lost is missed. */
export function noteInstalled({ state, directory, config }: Appliance, commit: string): void {
  const path = registryPath(config);
  const registry = path !== undefined && existsSync(join(directory, path));
  const note = { commit, at: new Date().toISOString(), registry };
  writeFileAtomic(state.installed, `${JSON.stringify(note)}\n`);
}
