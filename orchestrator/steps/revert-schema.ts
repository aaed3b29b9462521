import { plural } from '../lib/units.ts';
import type { Step } from '../pipeline/step.ts';

/** Takes schema migrations back by the SQL that they brought for it, all of them or none. */
export const revertSchema: Step = {
  name: 'revert-schema',
  title: 'Take schema migrations back',
  async apply({ appliance, migrating, runId, note }) {
    const down = migrating?.down ?? [];
    note(down.map(({ name }) => name).join(', '));
    await appliance.database?.revertMigrations(down, runId);
    note(`${plural(down.length, 'migration')} taken back`);
  },
};
