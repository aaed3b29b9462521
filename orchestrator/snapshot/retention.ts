import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { identityOf } from '../database/database-facts.ts';
import { messageOf } from '../lib/errors.ts';
import { renameDurably } from '../lib/atomic-file.ts';
import { removeTree } from '../lib/remove-tree.ts';
import { deleteRef, updateRef } from '../tools/git.ts';
import { findUnsealed } from './draft.ts';
import { sizeOfTree } from './inventory.ts';
import { findUnnamedProducts } from './products.ts';
import { dropSetAsideInRoots } from './roots.ts';
import { listSnapshots, unsealedSuffix, type SnapshotListing } from './store.ts';

/** Keeps the commit of a snapshot from git's garbage collection, however branches move. */
export const snapshotRef = (id: string) => `refs/holdfast/snapshots/${id}`;

export interface Retention {
  readonly keep: number;
  /** Ids that stay whatever the number: what `rollback` and `--undo` would take, the last good one, the run's own. */
  readonly protect?: readonly string[];
  /** Those that are worth less than any other: nobody would go back to them. */
  readonly goesFirst?: (listing: SnapshotListing) => boolean;
  /** Databases that the journal of a run names, by OID. */
  readonly databasesOf?: (run: string) => number[];
}

/**
 * Which snapshots go: beyond the newest `keep` of those that Holdfast makes by itself, first those that nobody would go
 * back to, so that nightly updates that fail push out each other and nothing else. Manual and imported ones stay, the
 * newest one stays whatever the number (P10), and one that cannot be read is left for a person to look at.
 */
export function chooseToPrune(listings: readonly SnapshotListing[], retention: Retention): SnapshotListing[] {
  const { keep, protect = [], goesFirst = () => false } = retention;
  const automatic = listings.filter(
    ({ manifest, imported }) => manifest !== undefined && manifest.kind !== 'manual' && imported !== true,
  );
  const byWorth = [...automatic.filter((one) => !goesFirst(one)), ...automatic.filter(goesFirst)];
  return byWorth.slice(Math.max(1, keep)).filter((one) => one !== automatic[0] && !protect.includes(one.id));
}

export interface PruneOptions {
  /** The run whose failed state is kept for whoever looks into it. */
  readonly currentRun?: string | undefined;
  readonly dryRun?: boolean;
  /** The failed state of that run goes as well: its room is needed. */
  readonly failed?: boolean;
}

export interface Pruned {
  /** Ids of the snapshots that were removed. */
  readonly removed: string[];
  /** What all that was removed had taken. */
  readonly freedBytes: number;
}

/**
 * Removes old snapshots, then what only they named: stored products, runs, pinned commits, databases set aside.
 * Runs under the lock only. May be run twice.
 */
export async function prune(
  appliance: Appliance,
  retention: Omit<Retention, 'keep'>,
  options: PruneOptions = {},
): Promise<Pruned> {
  const { state, runtime, directory, backupsDirectory, config, database } = appliance;
  const listings = listSnapshots(backupsDirectory);
  const going = chooseToPrune(listings, { keep: config.backups.keep, ...retention });
  const kept = listings.filter((one) => !going.includes(one));
  const products = new Set(kept.flatMap(({ manifest }) => manifest?.products.map(({ key }) => key) ?? []));
  const open = state.unfinishedRun();
  const failedOf = options.failed === true ? undefined : options.currentRun;
  const runs = [open, failedOf].filter((run) => run !== undefined);
  const named = kept.flatMap(({ manifest }) => (manifest?.database ? [identityOf(manifest.database)] : []));
  const snapshots = kept.map(({ id }) => id);
  const aside = {
    runs,
    snapshots,
    oids: [...named, ...runs.flatMap((run) => retention.databasesOf?.(run) ?? [])],
  };
  const folders = [
    ...going.map(({ folder }) => folder),
    ...findUnsealed(backupsDirectory),
    ...findUnnamedProducts(appliance, products),
    ...leftOfRuns(appliance, options.currentRun, new Set(runs)),
  ];
  const databaseBytes = await ifReachable(appliance, async () => await database?.sizeOfSetAside(aside));
  const freedBytes = (databaseBytes ?? 0) + folders.reduce((sum, folder) => sum + sizeOfTree(folder), 0);
  if (options.dryRun !== true) {
    for (const { id, folder } of going) {
      // First it loses its name: killed in the middle of this, half a snapshot must not pass for a whole one.
      const doomed = `${folder}${unsealedSuffix}`;
      renameDurably(folder, doomed);
      removeTree(doomed);
      await runtime.run(deleteRef(directory, snapshotRef(id)), { allowFailure: true });
    }
    for (const folder of folders) removeTree(folder);
    await dropSetAsideInRoots(appliance, options.failed === true ? undefined : options.currentRun);
    await ifReachable(appliance, async () => await database?.dropSetAside(aside));
  }
  return { removed: going.map(({ id }) => id), freedBytes };
}

/** A database server that is down, perhaps since the disk is full, keeps nobody from removing files. */
async function ifReachable<T>({ say }: Appliance, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    say(`databases that were set aside stay for now: ${messageOf(error)}`);
    return undefined;
  }
}

/**
 * What runs left behind. The last hundred stay for `status --history` and `logs`; what they moved aside goes when the
 * next one has ended.
 */
function leftOfRuns(
  { state }: Appliance,
  currentRun: string | undefined,
  keep: ReadonlySet<string>,
): string[] {
  const runs = state.runIds();
  const former = runs.filter((id) => id !== currentRun && !keep.has(id));
  const old = former.slice(0, Math.max(0, former.length - 100));
  const aside = runs.filter((id) => !keep.has(id) && !old.includes(id));
  return [
    ...old.map((id) => state.run(id)),
    ...aside.flatMap((id) => [join(state.run(id), 'code'), join(state.run(id), 'failed')]),
  ].filter((path) => existsSync(path));
}

/** Pins the commit of a snapshot. May be run twice. */
export async function pinCommit(appliance: Appliance, id: string, commit: string): Promise<void> {
  await appliance.runtime.run(
    updateRef(appliance.directory, { ref: snapshotRef(id), to: commit, reason: 'holdfast: snapshot' }),
  );
}
