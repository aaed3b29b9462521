import type { Command } from 'commander';
import { exitCodes } from '../lib/errors.ts';
import { formatBytes } from '../lib/units.ts';
import { listSnapshots } from '../snapshot/store.ts';
import { formatColumns } from '../ui/columns.ts';
import type { Session } from './session.ts';

/**
 * Lists the snapshots, newest first, damaged ones too.
 *
 * @param subcommands what else can be done with snapshots, told where nobody asked for the list alone
 */
export function listBackups(session: Session, subcommands: readonly Command[] = []): number {
  const { backupsDirectory } = session.open();
  const { paint } = session.ui;
  const listings = listSnapshots(backupsDirectory);
  const rows = listings.map(({ id, manifest, problem, sizeBytes, imported }) =>
    manifest
      ? [
          id,
          manifest.label,
          imported === true ? `${manifest.kind}, imported` : manifest.kind,
          formatBytes(sizeBytes),
          manifest.name ?? '',
        ]
      : [id, `${paint.red('damaged')}: ${problem}`],
  );
  const lines = formatColumns(['SNAPSHOT', 'VERSION', 'KIND', 'SIZE', 'NAME'], rows, {
    right: [3],
    header: paint.bold,
  });
  const snapshots = listings.map(({ id, manifest, problem, sizeBytes, imported }) => ({
    id,
    sizeBytes,
    ...(manifest
      ? {
          commit: manifest.commit,
          label: manifest.label,
          kind: manifest.kind,
          name: manifest.name,
          imported: imported === true,
          createdAt: manifest.createdAt,
        }
      : { problem }),
  }));
  const more = subcommands.map(
    (command) => `\n  ./run.sh backup ${command.name().padEnd(6)}  ${command.description()}`,
  );
  session.ui.result(
    { type: 'result', ok: true, exitCode: 0, snapshots },
    [
      listings.length === 0
        ? `No snapshot yet in ${backupsDirectory}.\n  Next: ./run.sh backup create`
        : lines.join('\n'),
      ...(more.length === 0 ? [] : ['\n', ...more]),
    ].join(''),
  );
  return exitCodes.ok;
}
