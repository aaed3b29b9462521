import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import type { DatabaseFacts } from '../database/database-facts.ts';
import type { Database } from '../database/engine.ts';
import { removeDurably, writeFileAtomic } from '../lib/atomic-file.ts';
import { Refusal } from '../lib/errors.ts';
import { shellWord } from '../lib/shell-word.ts';
import { registryPath } from '../snapshot/registry.ts';
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
/** Which data migrations have run is told by the registry as well as by the database: they come back together. */
const registryOf = (dump: string) => `${dump}.registry.json`;

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
  const registry = livingRegistry(appliance);
  if (registry !== undefined && existsSync(registry)) copyFileSync(registry, registryOf(dump));
  writeFileAtomic(factsOf(dump), JSON.stringify(facts));
  pruneDumps(folder, keep);
  const back = `./run.sh db restore ${shellWord(dump)}`;
  ui.say(`The database as it was is in a dump; ${back} brings it back.`);
  return { dump, back };
}

/** Ours bear the time they were made at; what somebody else has laid there is left alone. */
const ownName = /^(\d{17}-.+\.dump)(?:\.registry)?(?:\.json)?$/;

/** Drops all but the newest that can be restored, and what a killed one left behind without its facts. May be run twice. */
export function pruneDumps(folder: string, keep?: string): void {
  const kept = new Set([...listIn(folder).slice(-keptDumps), keep]);
  for (const name of readdirSync(folder)) {
    const [, dump] = ownName.exec(name) ?? [];
    if (dump !== undefined && !kept.has(join(folder, dump))) rmSync(join(folder, name), { force: true });
  }
}

/** Those that can be restored, the oldest first. */
const listDumps = (appliance: Appliance): string[] => listIn(folderOf(appliance));

function listIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.dump') && existsSync(factsOf(join(folder, name))))
    .toSorted()
    .map((name) => join(folder, name));
}

function livingRegistry({ directory, config }: Appliance): string | undefined {
  const path = registryPath(config);
  return path === undefined ? undefined : join(directory, path);
}

/** Puts the registry of a dump back, or its absence. May be run twice. */
export function restoreRegistryOf(appliance: Appliance, dump: string): void {
  const registry = livingRegistry(appliance);
  if (registry === undefined) return;
  if (existsSync(registryOf(dump))) writeFileAtomic(registry, readFileSync(registryOf(dump)));
  else if (existsSync(registry)) removeDurably(registry);
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
