import { statSync } from 'node:fs';
import { join } from 'node:path';
import { formatBytes, plural } from '../lib/units.ts';
import type { Step } from '../pipeline/step.ts';
import { planReserves, takeReserves } from '../snapshot/reserve.ts';

export const backupDatabase: Step = {
  name: 'backup-database',
  title: 'Back up the database',
  prepareTitle: 'Set room aside for the way back',
  async prepare({ appliance, runFolder, note }) {
    const reserves = await planReserves(appliance, runFolder);
    await takeReserves(appliance, reserves);
    note(formatBytes(reserves.reduce((sum, { bytes }) => sum + bytes, 0)));
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
