import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import type { DatabaseFacts } from '../database/database-facts.ts';
import type { Database } from '../database/engine.ts';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { Refusal } from '../lib/errors.ts';
import { shellWord } from '../lib/shell-word.ts';
import type { Session } from './session.ts';

/*
 * Dumps of the database alone, for who develops in a checkout with changed files: a snapshot's restore would take those
 * away. Beside each lies what it must hold when it is restored, as in a snapshot's manifest.
 */

/** What brings the database back, for the result of a command. */
export interface Back {
  readonly back: string;
  readonly snapshot?: string;
  readonly dump?: string;
}

/** The newest ones are kept; what they hold is a developer's. */
const keptDumps = 3;
const folderOf = ({ state }: Appliance) => join(state.path, 'dumps');
const factsOf = (dump: string) => `${dump}.json`;

/**
 * Dumps the database into a file of its own, and drops the oldest dumps.
 *
 * @param keep a dump that stays, however old
 */
export async function dumpDatabase(
  { ui }: Session,
  appliance: Appliance,
  database: Database,
  { name, keep }: { name: string; keep?: string },
): Promise<Back> {
  const folder = folderOf(appliance);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stamp = new Date().toISOString().replaceAll(/\D/g, '').slice(0, 17);
  const dump = join(folder, `${stamp}-${name}.dump`);
  const facts = await database.dumpWithFacts(dump);
  writeFileAtomic(factsOf(dump), JSON.stringify(facts));
  for (const old of listDumps(appliance).slice(0, -keptDumps))
    if (old !== keep) for (const path of [old, factsOf(old)]) rmSync(path, { force: true });
  const back = `./run.sh db restore ${shellWord(dump)}`;
  ui.say(`The database as it was is in a dump; ${back} brings it back.`);
  return { dump, back };
}

/** Those that can be restored, the oldest first. */
function listDumps(appliance: Appliance): string[] {
  const folder = folderOf(appliance);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.dump') && existsSync(factsOf(join(folder, name))))
    .toSorted()
    .map((name) => join(folder, name));
}

/** A dump by its path or its name, and what it must hold. Throws Refusal with those that there are. */
export function findDump(appliance: Appliance, wanted: string): { dump: string; facts: DatabaseFacts } {
  const known = listDumps(appliance);
  const dump = known.find((path) => path === resolve(wanted) || path === join(folderOf(appliance), wanted));
  if (dump !== undefined)
    return { dump, facts: JSON.parse(readFileSync(factsOf(dump), 'utf8')) as DatabaseFacts };
  throw new Refusal(
    `cannot restore ${wanted}: it is no dump of this appliance (there are ${known.join(', ') || 'none'})`,
    known.length === 0 ? './run.sh backup list' : `./run.sh db restore ${shellWord(known.at(-1) ?? '')}`,
  );
}
