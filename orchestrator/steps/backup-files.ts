import { formatBytes, plural } from '../lib/units.ts';
import { displayPath } from '../lib/raw-path.ts';
import type { Step } from '../pipeline/step.ts';

export const backupFiles: Step = {
  name: 'backup-files',
  title: 'Back up the files',
  async apply({ draft, note, warn }) {
    const { entries, sizeBytes, skipped, linkedAcross } = await draft.addFiles();
    note(`${plural(entries, 'file')}, ${formatBytes(sizeBytes)}`);
    if (skipped.length > 0) {
      const names = skipped.slice(0, 3).map(({ path }) => displayPath(path));
      warn(
        `not backed up: ${plural(skipped.length, 'pipe or socket', 'pipes or sockets')} (${names.join(', ')}); the programs that use them make them anew`,
      );
    }
    if (linkedAcross.length > 0) {
      warn(
        `${plural(linkedAcross.length, 'file has', 'files have')} names in two trees (${linkedAcross[0]}): a restore that changes one of them makes a copy of it`,
      );
    }
  },
};
