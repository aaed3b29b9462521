import type { Step } from '../pipeline/step.ts';
import { pinCommit } from '../snapshot/retention.ts';

/** The last part of the snapshot, and its seal: from here on a failure restores it. */
export const backupRegistry: Step = {
  name: 'backup-registry',
  title: 'Back up the data-migration registry',
  async apply({ appliance, draft, journal, note, origin, warn }) {
    const registry = draft.addRegistry();
    if (registry) note(registry.present ? registry.path : `${registry.path} does not exist yet`);
    await pinCommit(appliance, draft.id, origin.commit);
    const { manifest, digest } = await draft.seal();
    journal.append({ type: 'sealed', snapshot: draft.id, manifestSha256: digest });
    for (const store of manifest.notRestored) warn(`NOT RESTORED by a restore: ${store}`);
    note(`snapshot ${draft.id} sealed`);
  },
};
