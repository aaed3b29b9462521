import type { Appliance } from '../appliance/appliance.ts';
import { Refusal } from '../lib/errors.ts';
import { printable } from '../lib/printable.ts';
import { shellWord } from '../lib/shell-word.ts';
import { fileAt, isDescendant } from '../tools/git-facts.ts';
import * as git from '../tools/git.ts';
import { isAtLeast, releasesWithin, versionAt } from '../tools/versions.ts';
import type { Origin, Target } from './step.ts';
import { updateCommand } from './update-command.ts';

/**
 * A release may need another one before it (`requires.fromVersion`).
 *
 * @throws Refusal that names the version to go to first
 */
export async function verifyFromVersion(
  { runtime, directory }: Pick<Appliance, 'runtime' | 'directory'>,
  origin: Pick<Origin, 'commit' | 'label'>,
  target: Target,
): Promise<void> {
  const { fromVersion } = target.config.requires;
  if (fromVersion === 'none' || origin.commit === target.commit) return;
  const installed = await versionAt(runtime, directory, origin.commit);
  if (installed !== undefined && isAtLeast(installed, fromVersion)) return;
  const is = installed === undefined ? `${origin.label}, which tells no version` : installed;
  for (const release of await releasesWithin(runtime, directory, target.commit)) {
    if (!isAtLeast(release.version, fromVersion) || release.commit === target.commit) continue;
    if (!(await isDescendant(runtime, directory, origin.commit, release.commit))) continue;
    throw new Refusal(
      `cannot update to ${target.label}: it needs ${fromVersion} or newer before it, and ${is} is installed`,
      `./run.sh update --to ${shellWord(release.tag)}, then ${updateCommand(target)} again`,
    );
  }
  throw new Refusal(
    `cannot update to ${target.label}: it needs ${fromVersion} or newer before it, and ${is} is installed`,
    `ask the vendor for the release ${fromVersion}, and update to that one first`,
  );
}

/**
 * What the vendor says of a release, for people: its RELEASE.md where the release changed it, else the message of its
 * annotated tag. Undefined where it says nothing.
 */
export async function readReleaseNotes(
  { runtime, directory }: Pick<Appliance, 'runtime' | 'directory'>,
  origin: Pick<Origin, 'commit'>,
  target: Pick<Target, 'commit' | 'label'>,
): Promise<string | undefined> {
  if (origin.commit === target.commit) return undefined;
  const notes = await fileAt(runtime, directory, target.commit, 'RELEASE.md');
  if (notes !== undefined && notes !== (await fileAt(runtime, directory, origin.commit, 'RELEASE.md')))
    return notesOf(notes);
  const { stdout, exitCode } = await runtime.run(git.tagMessage(directory, target.label), {
    allowFailure: true,
  });
  return exitCode === 0 ? notesOf(stdout) : undefined;
}

function notesOf(text: string): string | undefined {
  const clean = printable(text).trim();
  return clean === '' ? undefined : clean;
}
