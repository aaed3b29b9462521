import type { Step } from '../pipeline/step.ts';
import { barrier } from '../snapshot/barrier.ts';

/** The one commit point: before its record a failure restores, after it nothing does. */
export const commit: Step = {
  name: 'commit',
  title: 'Commit',
  async apply({ appliance, journal, migrating }) {
    await barrier(appliance);
    journal.append({
      type: 'committed',
      ...(migrating?.leaveStopped === true ? { leaveStopped: true } : {}),
    });
  },
};
