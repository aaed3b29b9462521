import { statSync } from 'node:fs';
import { join } from 'node:path';
import { formatBytes, plural } from '../lib/units.ts';
import type { Step } from '../pipeline/step.ts';
import { reservePath } from '../snapshot/restore.ts';

/** A reserve is worth at least this: the journal, the index, a few files that come back from the archive. */
const minimumReserveBytes = 64 * 1024 * 1024;

export const backupDatabase: Step = {
  name: 'backup-database',
  title: 'Back up the database',
  prepareTitle: 'Set room aside for the way back',
  async prepare({ appliance, runFolder }) {
    // A restore makes a second copy of the database. Its room is taken now, and given back as the restore's first act.
    const database =
      appliance.config.database !== 'none' && appliance.config.database.embedded
        ? await appliance.database?.sizeBytes()
        : 0;
    const bytes = minimumReserveBytes + Math.ceil((database ?? 0) * 1.2);
    await appliance.runtime.run({
      file: 'fallocate',
      args: ['--length', String(bytes), reservePath(runFolder)],
      label: 'fallocate (the reserve for a restore)',
    });
  },
  async apply({ draft, note, signal }) {
    draft.begin();
    const facts = await draft.addDatabase(signal);
    if (!facts) {
      note('no database');
      return;
    }
    const rows = facts.tables.reduce((sum, table) => sum + table.rows, 0);
    note(
      `${plural(facts.tables.length, 'table')}, ${plural(rows, 'row')}, ${formatBytes(statSync(join(draft.folder, 'database.dump')).size)}`,
    );
  },
};
