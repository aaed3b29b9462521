import type { Appliance } from '../appliance/appliance.ts';
import type { ResultEvent } from '../pipeline/events.ts';
import { listSnapshots } from '../snapshot/store.ts';
import { takeSnapshot } from './backup.ts';
import type { Locked } from './locked.ts';
import type { Session } from './session.ts';

/** A name that no snapshot has yet, as each may have one name only. */
export function snapshotName(
  { backupsDirectory }: Pick<Appliance, 'backupsDirectory'>,
  wanted: string,
): string {
  const taken = new Set(listSnapshots(backupsDirectory).map(({ manifest }) => manifest?.name));
  const base = wanted.slice(0, 60);
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? base : `${base}-${number}`;
    if (!taken.has(name)) return name;
  }
}

/** The snapshot is not the last word of the command: its result is kept for the one who goes on. */
export async function takeSnapshotQuietly(
  session: Session,
  locked: Pick<Locked, 'appliance' | 'signals'>,
  name: string,
): Promise<{ event: ResultEvent; text: string }> {
  let told: { event: ResultEvent; text: string } | undefined;
  const result = (event: ResultEvent, text: string) => {
    told = { event, text };
  };
  const quiet = { ...session, ui: { ...session.ui, result } };
  const exitCode = await takeSnapshot(quiet, locked, { kind: 'scheduled', name });
  return told ?? { event: { type: 'result', ok: exitCode === 0, exitCode }, text: '' };
}
