import { existsSync, readdirSync } from 'node:fs';
import type { Event } from '../../orchestrator/pipeline/events.ts';
import type { RestorePhase, StepName } from '../../orchestrator/pipeline/journal-entries.ts';
import { listSnapshots, verifySnapshot } from '../../orchestrator/snapshot/store.ts';
import type { Ledger } from './ledger.ts';

/** Whether the long version is asked for: every phase of a restore, every disk at every step. */
export const inFull = process.env['HOLDFAST_DISK_FULL'] === 'all';

/** When somebody's file takes the last block. */
export type Instant =
  { readonly step: StepName; readonly half: 'prepare' | 'apply' } | { readonly restoring: RestorePhase };

export const nameOf = (instant: Instant): string =>
  'restoring' in instant ? `restore: ${instant.restoring}` : `${instant.step}, ${instant.half}`;

/** Does something at the very instant at which a step or a phase begins: nothing goes on before it is done. */
export function at(
  instant: Instant,
  act: () => void,
): { listen: (event: Event) => void; came: () => boolean } {
  let came = false;
  return {
    came: () => came,
    listen: (event) => {
      const isIt =
        'restoring' in instant
          ? event.type === 'restore' && event.phase === instant.restoring && event.state === 'started'
          : event.type === 'step' &&
            event.step === instant.step &&
            event.half === instant.half &&
            event.state === 'started';
      if (!isIt || came) return;
      came = true;
      act();
    },
  };
}

/** What of the snapshots is only half there, and would be taken for whole, or was left behind. */
export async function halfMade(ledger: Ledger): Promise<string[]> {
  const { backupsDirectory } = ledger.open();
  const found: string[] = [];
  for (const { id, folder, problem } of listSnapshots(backupsDirectory)) {
    if (problem !== undefined) found.push(`${id}: ${problem}`);
    else
      await verifySnapshot(folder).catch((error: unknown) => {
        found.push(String(error));
      });
  }
  if (existsSync(backupsDirectory))
    found.push(...readdirSync(backupsDirectory).filter((name) => name.endsWith('.unsealed')));
  return found;
}
