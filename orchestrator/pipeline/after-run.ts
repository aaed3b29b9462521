import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { removeTree } from '../lib/remove-tree.ts';
import { releaseReserves } from '../snapshot/reserve.ts';
import { findForRollback, type Choice } from '../snapshot/choose.ts';
import { prune } from '../snapshot/retention.ts';
import { listSnapshots } from '../snapshot/store.ts';
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
  removeTree(join(run.folder, 'code'));
  removeTree(join(run.folder, 'work'));
  if (end === 'done' && run.started.kind !== 'backup') noteInstalled(appliance, run.started.to);
  await pruneSnapshots(appliance, { currentRun: run.id });
}

/** Prunes, but keeps the snapshot that `rollback` would take now. Returns ids of the removed ones. */
export async function pruneSnapshots(
  appliance: Appliance,
  options: { currentRun?: string; dryRun?: boolean },
): Promise<string[]> {
  const choice = await readChoice(appliance);
  const back = findForRollback(choice);
  return await prune(appliance, {
    ...options,
    protect: [...(back ? [back.id] : []), ...(options.currentRun === undefined ? [] : [options.currentRun])],
  });
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
  return {
    listings,
    commit,
    committed: (run) => wasCommitted(appliance, run),
    isOlder: (other) => older.has(other),
  };
}

/** What the run's own journal says; undefined where it is not kept any more. */
function wasCommitted(appliance: Appliance, run: string): boolean | undefined {
  const records = tryReadJournal(join(appliance.state.run(run), 'journal.ndjson')) ?? [];
  return records.length === 0 ? undefined : records.some(({ type }) => type === 'committed');
}

/** Notes that the appliance is set up, and at which commit. */
export function noteInstalled(appliance: Appliance, commit: string): void {
  writeFileAtomic(appliance.state.installed, `${JSON.stringify({ commit, at: new Date().toISOString() })}\n`);
}
