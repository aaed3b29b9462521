import { existsSync } from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { withBoxSettings } from '../config/box-settings.ts';
import { parseConfigText } from '../config/load.ts';
import { kindOfDatabase } from '../config/database-schema.ts';
import { Refusal } from '../lib/errors.ts';
import { shellWord } from '../lib/shell-word.ts';
import { layoutOf, movesOf } from '../runtime/lxd/layout.ts';
import {
  fetchRemote,
  fileAt,
  followedCommit,
  isDescendant,
  labelOf,
  readHead,
  resolveRevision,
} from '../tools/git-facts.ts';
import { verifyNoLocks } from '../tools/git-checkout.ts';
import type { Origin, Target } from './step.ts';

export interface Destination {
  readonly origin: Origin;
  readonly target: Target;
  /** How the target relates to where the checkout stands. */
  readonly relation: 'same' | 'newer' | 'older';
}

export async function readOrigin(appliance: Appliance): Promise<Origin> {
  const head = await readHead(appliance.runtime, appliance.directory);
  return { ...head, label: await labelOf(appliance.runtime, appliance.directory, head.commit) };
}

/**
 * Fetches, and finds out where an update goes: the commit that the source follows, or `to`.
 *
 * @throws Refusal if the remote does not answer, there is no such revision, or it does not descend from where we are
 */
export async function findDestination(appliance: Appliance, to: string | undefined): Promise<Destination> {
  const { runtime, directory, config } = appliance;
  const origin = await readOrigin(appliance);
  const source = Object.values(config.sources)[0];
  if (!source) throw new Refusal('cannot update: no source is configured');
  await verifyNoLocks(runtime, directory);
  await fetchRemote(runtime, directory, source.remote);
  const commit =
    to === undefined
      ? (await followedCommit(runtime, directory, source.follow)).commit
      : await resolveRevision(runtime, directory, to);
  if (commit === undefined) {
    throw new Refusal(
      `cannot update to "${to}": neither a branch, a tag nor a commit of that name is on the remote "${source.remote}" or here`,
      'git ls-remote shows what there is',
    );
  }
  const label = await labelOf(runtime, directory, commit);
  if (commit === origin.commit) return { origin, target: { commit, label, config }, relation: 'same' };
  if (await isDescendant(runtime, directory, commit, origin.commit)) {
    if (to !== undefined) {
      throw new Refusal(
        `cannot update to ${label}: it is older than what is installed (${origin.label}), and a database does not go backwards`,
        './run.sh rollback brings an older version back with its data',
      );
    }
    return { origin, target: { commit, label, config }, relation: 'older' };
  }
  if (!(await isDescendant(runtime, directory, origin.commit, commit))) {
    throw new Refusal(
      `cannot update to ${label}: the checkout (${origin.label}) has commits that it does not descend from`,
      `see git -C ${shellWord(directory)} log --oneline ${commit.slice(0, 7)}..HEAD; move them elsewhere, or publish them first`,
    );
  }
  return {
    origin,
    target: { commit, label, config: await readTargetConfig(appliance, commit, label) },
    relation: 'newer',
  };
}

/** The configuration that the target brings along; checked before anything is stopped. */
async function readTargetConfig(
  appliance: Appliance,
  commit: string,
  label: string,
): Promise<Target['config']> {
  const inside = relative(appliance.directory, appliance.file);
  if (inside.startsWith('..') || isAbsolute(inside)) return appliance.config;
  const text = await fileAt(appliance.runtime, appliance.directory, commit, inside);
  if (text === undefined) {
    const { commit: now } = await readHead(appliance.runtime, appliance.directory);
    // A file that git does not track stays as it is; one that it tracks would be gone.
    if ((await fileAt(appliance.runtime, appliance.directory, now, inside)) === undefined)
      return appliance.config;
    throw new Refusal(
      `cannot update to ${label}: it has no ${inside} any more, and nothing could be done with the appliance afterwards`,
      'ask the vendor; the file belongs into every release',
    );
  }
  const config = withBoxSettings(parseConfigText(text, `${inside} of ${label}`), appliance.stateDirectory);
  await verifyTargetFits(appliance, config, commit, label);
  return config;
}

/** What an update cannot change by itself, because the way back would lead past it. Throws Refusal. */
async function verifyTargetFits(
  appliance: Appliance,
  target: Target['config'],
  commit: string,
  label: string,
): Promise<void> {
  const { config } = appliance;
  if (target.runtime !== config.runtime)
    throw new Refusal(
      `cannot update to ${label}: it changes runtime from "${config.runtime}" to "${target.runtime}", and this appliance lives in the former`,
      `./run.sh setup --runtime ${config.runtime} keeps it so on this machine, whatever a release says; then try again`,
    );
  const fileOf = ({ database }: Target['config']) =>
    database !== 'none' && 'file' in database ? database.file : '';
  const changes: [string, string, string][] = [
    ['stateDirectory', config.stateDirectory, target.stateDirectory],
    ['backups.directory', config.backups.directory, target.backups.directory],
    ['the kind of its database', kindOfDatabase(config.database), kindOfDatabase(target.database)],
    ['database.file', fileOf(config), fileOf(target)],
    ...(config.runtime === 'lxd'
      ? movesOf(layoutOf(config.name, config.lxd), layoutOf(target.name, target.lxd))
      : []),
  ];
  for (const [what, from, to] of changes) {
    if (from !== to) {
      throw new Refusal(
        `cannot update to ${label}: it changes ${what} from "${from}" to "${to}", which an update cannot carry over yet`,
        'ask the vendor for a release that keeps it',
      );
    }
  }
  for (const file of target.env.files) {
    const isThere = existsSync(join(appliance.directory, file));
    if (!isThere && (await fileAt(appliance.runtime, appliance.directory, commit, file)) === undefined) {
      throw new Refusal(
        `cannot update to ${label}: it reads the env file ${file}, which does not exist here`,
        `create ${file} as the release notes say, then try again`,
      );
    }
  }
}
