import { statSync } from 'node:fs';
import { join } from 'node:path';
import { remarksOn } from '../database/facts.ts';
import { formatBytes, plural } from '../lib/units.ts';
import type { Step } from '../pipeline/step.ts';
import { databaseDump } from '../snapshot/manifest.ts';
import { planReserves, takeReserves } from '../snapshot/reserve.ts';
import { describeSuddenlyEmpty } from '../snapshot/rows.ts';
import { listSnapshots } from '../snapshot/store.ts';

export const backupDatabase: Step = {
  name: 'backup-database',
  title: 'Back up the database',
  prepareTitle: 'Set room aside for the way back',
  async prepare({ appliance, runFolder, note, warn }) {
    const reserves = await planReserves(appliance, runFolder);
    note(formatBytes(await takeReserves(appliance, reserves, warn)));
  },
  async apply({ appliance, draft, note, signal, warn, withoutSafety }) {
    draft.begin();
    const facts = await draft.addDatabase({ signal, withoutDump: withoutSafety });
    if (!facts) {
      note('no database');
      return;
    }
    if (withoutSafety) {
      warn(`the database ${facts.name} is NOT in the snapshot: --undo cannot bring it back`);
      return;
    }
    const empty = describeSuddenlyEmpty(facts, listSnapshots(appliance.backupsDirectory));
    if (empty !== undefined) warn(empty);
    for (const remark of remarksOn(facts)) warn(remark);
    const rows = facts.tables.reduce((sum, table) => sum + table.rows, 0);
    const dump = statSync(join(draft.folder, databaseDump), { throwIfNoEntry: false });
    note(
      `${plural(facts.tables.length, 'table')}, ${plural(rows, 'row')}, ${dump ? formatBytes(dump.size) : 'as a copy of its volume'}`,
    );
  },
};
