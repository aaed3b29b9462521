import type { Appliance } from '../appliance/appliance.ts';
import { Refusal } from '../lib/errors.ts';
import { fileAt, filesWith, isDescendant, resolveRevision } from '../tools/git-facts.ts';
import {
  dataMigrationFiles,
  dataMigrationFilesInCheckout,
  isDone,
  readDataMigrationStates,
  type DataMigrationStates,
} from './data-pending.ts';
import { pendingInTarget } from './pending-in-target.ts';
import type { Origin, Target } from './step.ts';

/** What a data migration's file says of itself, as far as the order of releases goes. */
export interface Requirement {
  /** The schema migration that must not run before it. */
  readonly requiredBefore: string | undefined;
  /** The first release that has it. */
  readonly introducedIn: string | undefined;
}

/** A schema migration of the target that waits for a data migration which is not done here. */
export interface Blocked extends Requirement {
  readonly id: string;
  readonly requiredBefore: string;
  readonly state: string;
}

const stringOrComment = /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)|\/\/.*|\/\*[^]*?\*\//g;

/** Reads it from the text: the code of a version that is not installed is never executed. */
export function parseRequirement(path: string, text: string): Requirement {
  const read = path.endsWith('.sql')
    ? (key: string) => new RegExp(`^\\s*--\\s*${key}:\\s*['"]?([^\\s'"]+)`, 'm').exec(text)?.[1]
    : (key: string) =>
        new RegExp(`\\b${key}['"]?\\s*(?::\\s*string\\s*=|[:=])\\s*(['"\`])(.+?)\\1`).exec(code)?.[2];
  const code = text.replaceAll(stringOrComment, (_, string: string | undefined) => string ?? '');
  return { requiredBefore: read('requiredBefore'), introducedIn: read('introducedIn') };
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
  const paths = await filesWith(runtime, directory, target.commit, 'requiredBefore', dir);
  const files = dataMigrationFiles(paths, dir);
  if (files.length === 0) return [];
  const pending = await pendingInTarget(appliance, origin, target);
  const states: DataMigrationStates = await readDataMigrationStates({ ...appliance, config: target.config });
  const blocked: Blocked[] = [];
  for (const { id, path } of files) {
    const state = states.get(id) ?? 'PENDING';
    if (isDone(state)) continue;
    const said = parseRequirement(path, (await fileAt(runtime, directory, target.commit, path)) ?? '');
    const { requiredBefore } = said;
    if (requiredBefore !== undefined && pending.has(requiredBefore))
      blocked.push({ ...said, id, requiredBefore, state });
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

/** What stands in the way, as a clause. */
export function describeBlocked({ id, requiredBefore, state }: Blocked): string {
  return `its schema migration ${requiredBefore} must not run before the data migration ${id}, which is ${state} here`;
}

async function howToUnblock(
  appliance: Appliance,
  origin: Origin,
  target: Target,
  { id, introducedIn, requiredBefore, state }: Blocked,
): Promise<string> {
  const installed = dataMigrationFilesInCheckout(appliance.directory, appliance.config);
  if (installed.some((file) => file.id === id))
    return `./run.sh data ${state === 'FAILED' ? 'retry' : 'run'} ${id}, then ./run.sh update again`;
  const tag = introducedIn && (await findBetween(appliance, origin, target, introducedIn));
  if (tag !== undefined && tag !== '')
    return `./run.sh update --to ${tag}, which has it; then ./run.sh update again`;
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
