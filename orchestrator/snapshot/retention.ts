import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { renameDurably } from '../lib/atomic-file.ts';
import { removeTree } from '../lib/remove-tree.ts';
import { deleteRef, updateRef } from '../tools/git.ts';
import { collectProducts } from './products.ts';
import { dropUnsealed } from './draft.ts';
import { dropSetAsideInRoots } from './roots.ts';
import { listSnapshots, unsealedSuffix, type SnapshotListing } from './store.ts';

/** Keeps the commit of a snapshot from git's garbage collection, however branches move. */
export const snapshotRef = (id: string) => `refs/holdfast/snapshots/${id}`;

/**
 * Which snapshots go: beyond the newest `keep` of those that Holdfast makes by itself. Manual ones stay, the newest
 * good one stays whatever the number (P10), and one that cannot be read is left for a person to look at.
 *
 * @param protect ids that stay all the same: nightly updates that fail must not push out the one to roll back to
 */
export function chooseToPrune(
  listings: readonly SnapshotListing[],
  keep: number,
  protect: readonly string[] = [],
): SnapshotListing[] {
  const automatic = listings.filter(({ manifest }) => manifest !== undefined && manifest.kind !== 'manual');
  return automatic.slice(Math.max(1, keep)).filter(({ id }) => !protect.includes(id));
}

/**
 * Removes old snapshots, then what only they named: stored products, runs, pinned commits, databases set aside.
 * Runs under the lock only. May be run twice.
 *
 * @returns ids of the snapshots that were removed
 */
export async function prune(
  appliance: Appliance,
  options: { currentRun?: string; dryRun?: boolean; protect?: readonly string[] } = {},
): Promise<string[]> {
  const { state, runtime, directory, backupsDirectory, config } = appliance;
  const going = chooseToPrune(listSnapshots(backupsDirectory), config.backups.keep, options.protect);
  if (options.dryRun) return going.map(({ id }) => id);
  dropUnsealed(backupsDirectory);
  for (const { id, folder } of going) {
    // First it loses its name: killed in the middle of this, half a snapshot must not pass for a whole one.
    const doomed = `${folder}${unsealedSuffix}`;
    renameDurably(folder, doomed);
    removeTree(doomed);
    await runtime.run(deleteRef(directory, snapshotRef(id)), { allowFailure: true });
  }
  const kept = listSnapshots(backupsDirectory);
  collectProducts(
    appliance,
    new Set(kept.flatMap(({ manifest }) => manifest?.products.map((product) => product.key) ?? [])),
  );
  // The last hundred runs stay for `status --history` and `logs`; what a run moved aside goes with its snapshot.
  const runs = state.runIds().filter((id) => id !== options.currentRun);
  for (const id of runs.slice(0, Math.max(0, runs.length - 100))) removeTree(state.run(id));
  for (const id of runs) {
    removeTree(join(state.run(id), 'code'));
    removeTree(join(state.run(id), 'failed'));
  }
  await dropSetAsideInRoots(appliance, options.currentRun);
  await appliance.database?.dropSetAside(options.currentRun === undefined ? [] : [options.currentRun]);
  return going.map(({ id }) => id);
}

/** Pins the commit of a snapshot. May be run twice. */
export async function pinCommit(appliance: Appliance, id: string, commit: string): Promise<void> {
  await appliance.runtime.run(
    updateRef(appliance.directory, { ref: snapshotRef(id), to: commit, reason: 'holdfast: snapshot' }),
  );
}
