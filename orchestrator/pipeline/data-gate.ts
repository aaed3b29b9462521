import type { Appliance } from '../appliance/appliance.ts';
import { Refusal } from '../lib/errors.ts';
import { visible } from '../lib/printable.ts';
import { shellWord } from '../lib/shell-word.ts';
import { filesAt, isDescendant, resolveRevision, textsAt } from '../tools/git-facts.ts';
import {
  dataMigrationFiles,
  dataMigrationFilesInCheckout,
  isDone,
  readDataMigrationStates,
  type DataMigrationStates,
} from './data-pending.ts';
import { pendingInTarget, schemaMigrationsAt } from './pending-in-target.ts';
import { parseRequirement, type Requirement } from './requirement.ts';
import type { Origin, Target } from './step.ts';
import { updateCommand } from './update-command.ts';

/** A schema migration of the target that waits for a data migration which is not done here. */
export interface Blocked {
  readonly id: string;
  readonly requiredBefore: string;
  readonly introducedIn: string | undefined;
  readonly state: string;
  /** Set where what its file says cannot be gone by: why, as a clause. */
  readonly problem?: string;
}

/** What stands in the way of the target's schema migrations on this appliance. Looks only. */
export async function findBlocked(
  appliance: Appliance,
  origin: Pick<Origin, 'commit'>,
  target: Pick<Target, 'commit' | 'config'>,
): Promise<Blocked[]> {
  const { runtime, directory, database } = appliance;
  const dir = target.config.prisma?.dataMigrations?.dir;
  if (dir === undefined || !database) return [];
  // Of all, and not of those alone that hold the word: what they take from another file stands there.
  const files = dataMigrationFiles(await filesAt(runtime, directory, target.commit, dir), dir);
  if (files.length === 0) return [];
  const pending = await pendingInTarget(appliance, origin, target);
  const names = await schemaMigrationsAt(appliance, target);
  const states: DataMigrationStates = await readDataMigrationStates({ ...appliance, config: target.config });
  const waiting = files.flatMap((file) => {
    const state = states.get(file.id) ?? 'PENDING';
    return isDone(state) ? [] : [{ ...file, state }];
  });
  if (waiting.length === 0) return [];
  const paths = waiting.map(({ path }) => path);
  const contents = await textsAt(runtime, directory, target.commit, paths);
  const blocked: Blocked[] = [];
  for (const { id, path, state } of waiting) {
    const said = parseRequirement(path, contents.get(path) ?? '');
    const { requiredBefore = '', introducedIn } = said;
    const problem = findProblem(path, id, said, names);
    if (problem !== undefined) blocked.push({ id, requiredBefore, introducedIn, state, problem });
    else if (pending.has(requiredBefore)) blocked.push({ id, requiredBefore, introducedIn, state });
  }
  return blocked;
}

/** @throws Refusal that names the first of what stands in the way, and what to do */
export async function verifyNothingBlocked(
  appliance: Appliance,
  origin: Origin,
  target: Target,
): Promise<void> {
  const blocked = await findBlocked(appliance, origin, target);
  const [first] = blocked;
  if (!first) return;
  const others = blocked.length === 1 ? '' : ` (and ${blocked.length - 1} more such)`;
  throw new Refusal(
    `cannot update to ${target.label}: ${describeBlocked(first)}${others}`,
    await howToUnblock(appliance, origin, target, first),
  );
}

/** Why what a file says cannot be gone by, as a clause; undefined where it can. */
function findProblem(
  path: string,
  id: string,
  { requiredBefore, unreadable }: Requirement,
  names: readonly string[],
): string | undefined {
  if (unreadable !== undefined)
    return `the data migration ${id} (${path}, ${unreadable}) says what it is requiredBefore in a way that cannot be read without running it, or takes that from another file`;
  if (requiredBefore === undefined || names.includes(requiredBefore)) return undefined;
  // One that is no name here may belong to a later release; one that is nearly a name is a slip.
  const meant = names.find((name) => isNearly(name, requiredBefore));
  return meant === undefined
    ? undefined
    : `the data migration ${id} (${path}) is requiredBefore "${requiredBefore}", which no schema migration is called; ${meant} is`;
}

/** The same number before another text, or the same text behind another number, whatever the case. */
function isNearly(one: string, other: string): boolean {
  const parts = (name: string) => /^(\d*)[_-]?(.*)$/.exec(name.toLowerCase()) ?? [];
  const [, number, text] = parts(one);
  const [, otherNumber, otherText] = parts(other);
  return (number !== '' && number === otherNumber) || (text !== '' && text === otherText);
}

/** What stands in the way, as a clause. */
export function describeBlocked({ id, requiredBefore, state, problem }: Blocked): string {
  if (problem !== undefined) return visible(problem);
  return `its schema migration ${requiredBefore} must not run before the data migration ${id}, which is ${state} here`;
}

async function howToUnblock(
  appliance: Appliance,
  origin: Origin,
  target: Target,
  { id, introducedIn, requiredBefore, state, problem }: Blocked,
): Promise<string> {
  if (problem !== undefined)
    return 'ask the vendor for a release whose file says it as one text in quotes, or by a constant of the same file: the name of a folder of a schema migration, or undefined where there is none';
  const installed = dataMigrationFilesInCheckout(appliance.directory, appliance.config);
  if (installed.some((file) => file.id === id))
    return `./run.sh data ${state === 'FAILED' ? 'retry' : 'run'} ${id}, then ${updateCommand(target)} again`;
  const tag = introducedIn && (await findBetween(appliance, origin, target, introducedIn));
  if (tag !== undefined && tag !== '')
    return `./run.sh update --to ${shellWord(tag)}, which has it; then ${updateCommand(target)} again`;
  const of = introducedIn === undefined ? '' : ` (${introducedIn})`;
  return `ask the vendor for a release that has ${id}${of}, and not yet ${requiredBefore}; update to that one first`;
}

/** The tag of a version, if an update can go there before it goes to the target. */
async function findBetween(
  { runtime, directory }: Appliance,
  origin: Origin,
  target: Target,
  version: string,
): Promise<string | undefined> {
  for (const tag of [`v${version}`, version]) {
    const commit = await resolveRevision(runtime, directory, tag);
    if (commit === undefined || commit === origin.commit || commit === target.commit) continue;
    const isBetween =
      (await isDescendant(runtime, directory, origin.commit, commit)) &&
      (await isDescendant(runtime, directory, commit, target.commit));
    if (isBetween) return tag;
  }
  return undefined;
}
