import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Appliance } from '../appliance/appliance.ts';
import { writeFileAtomic } from '../lib/atomic-file.ts';

const record = z.object({ commit: z.string(), label: z.string(), ok: z.boolean(), at: z.string() });

/** How the last rehearsal ended, and of which version. */
export type LastRehearsal = z.output<typeof record>;

const pathOf = ({ state }: Pick<Appliance, 'state'>) => join(state.path, 'last-rehearsal.json');

export function noteRehearsal(appliance: Pick<Appliance, 'state'>, rehearsal: LastRehearsal): void {
  writeFileAtomic(pathOf(appliance), `${JSON.stringify(rehearsal)}\n`);
}

/** Undefined where none was, or what is there cannot be read. */
export function readLastRehearsal(appliance: Pick<Appliance, 'state'>): LastRehearsal | undefined {
  const path = pathOf(appliance);
  try {
    return existsSync(path) ? record.parse(JSON.parse(readFileSync(path, 'utf8'))) : undefined;
  } catch {
    return undefined;
  }
}
