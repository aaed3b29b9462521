import type { Step } from '../pipeline/step.ts';
import { barrier } from '../snapshot/barrier.ts';
import { restoreSnapshot, warningsOf } from '../snapshot/restore.ts';

/**
 * The act of a rollback: the appliance becomes what an older snapshot says. The run's own snapshot, sealed before, is
 * the way back from here, so what is displaced goes where that one looks for it.
 */
export const restoreSnapshotStep: Step = {
  name: 'restore-snapshot',
  title: 'Bring the snapshot back',
  async apply({ appliance, restoring, runId, journal, note, warn }) {
    if (!restoring) throw new Error('a rollback needs a snapshot');
    const report = await restoreSnapshot({
      appliance,
      ...restoring,
      runId,
      replacement: undefined,
      readAll: false,
      mark: runId,
      phase: (phase) => note(`restoring: ${phase}`),
      announceReplacement: (pair) =>
        journal.append({
          type: 'database-replacement',
          mark: runId,
          live: pair.live,
          replacement: pair.replacement,
        }),
      note,
    });
    await barrier(appliance);
    for (const message of warningsOf(report)) warn(message);
    note(report.compared);
  },
};
