import type { Appliance } from '../appliance/appliance.ts';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { removeTree } from '../lib/remove-tree.ts';
import { reservePath } from '../snapshot/restore.ts';
import { prune } from '../snapshot/retention.ts';
import type { Run } from './run.ts';

/** After a run that came to its end: what is installed, and old snapshots with all that only they name. */
export async function collectAfterRun(appliance: Appliance, run: Run): Promise<void> {
  removeTree(reservePath(run.folder));
  if (run.started.kind !== 'backup') noteInstalled(appliance, run.started.to);
  await prune(appliance, { currentRun: run.id });
}

/** Notes that the appliance is set up, and at which commit. */
export function noteInstalled(appliance: Appliance, commit: string): void {
  writeFileAtomic(appliance.state.installed, `${JSON.stringify({ commit, at: new Date().toISOString() })}\n`);
}
