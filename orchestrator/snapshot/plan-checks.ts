import { lstatSync, readdirSync, realpathSync } from 'node:fs';
import { relative } from 'node:path';
import { Refusal } from '../lib/errors.ts';
import { mountPointsBelow } from '../lib/mounts.ts';
import {
  ancestorsOf,
  displayPath,
  joinRaw,
  rawFromBytes,
  rawFromText,
  under,
  type RawPath,
} from '../lib/raw-path.ts';
import { shellWord } from '../lib/shell-word.ts';
import { whyUnmovable } from '../lib/unmovable.ts';
import type { Runtime } from '../runtime/runtime.ts';
import * as git from '../tools/git.ts';
import type { PathChange } from './rename-plan.ts';

/* What stands in the way of a rename plan: found out before anything is stopped. */

/**
 * Untracked and ignored files belong to the operator: git would overwrite the ignored ones without a word.
 *
 * @throws Refusal with their names
 */
export function verifyNothingInTheWay(directory: string, changes: readonly PathChange[]): void {
  const leaving = new Set(changes.filter((c) => c.kind !== 'add').map((c) => c.path));
  const inTheWay = new Set<string>();
  for (const { path, kind } of changes) {
    if (kind !== 'add') continue;
    // From the top: below what is no folder there is nothing, or (below a link) something that is not ours.
    const blocking = ancestorsOf(path)
      .toReversed()
      .find(
        (above) => lstatSync(under(directory, above), { throwIfNoEntry: false })?.isDirectory() === false,
      );
    if (blocking !== undefined) {
      if (!leaving.has(blocking)) inTheWay.add(displayPath(blocking));
      continue;
    }
    const stat = lstatSync(under(directory, path), { throwIfNoEntry: false });
    if (stat && !(stat.isDirectory() && everythingLeaves(directory, path, leaving)))
      inTheWay.add(displayPath(path));
  }
  if (inTheWay.size > 0) {
    const names = [...inTheWay].toSorted();
    const shown = names.slice(0, 5).join(', ') + (names.length > 5 ? ` and ${names.length - 5} more` : '');
    throw new Refusal(
      `cannot update: the new version brings ${shown}, where the checkout has files of its own that git does not track`,
      `move ${names[0]} away, then try again`,
    );
  }
}

/** True for a folder that will be empty, and gone: a file of the operator in it would keep it in its place. */
function everythingLeaves(directory: string, folder: RawPath, leaving: ReadonlySet<RawPath>): boolean {
  const names = readdirSync(under(directory, folder), { encoding: 'buffer' });
  return (
    names.length > 0 &&
    names.every((name) => {
      const path = joinRaw(folder, rawFromBytes(name));
      return lstatSync(under(directory, path)).isDirectory()
        ? everythingLeaves(directory, path, leaving)
        : leaving.has(path);
    })
  );
}

/**
 * Every path of a plan is renamed. What is immutable or mounted cannot be, and would be found out half-way.
 *
 * @throws Refusal with the first such path
 */
export function verifyMovable(directory: string, changes: readonly PathChange[]): void {
  const mounts = mountPointsBelow(directory).map((point) =>
    rawFromText(relative(realpathSync(directory), point)),
  );
  const folders = new Map<RawPath, string | undefined>();
  for (const { path, kind } of changes) {
    const mount = mounts.find((point) => point === path || path.startsWith(`${point}/`));
    if (mount !== undefined)
      throw new Refusal(
        `cannot update: the new version changes ${displayPath(path)}, and ${displayPath(mount)} is a mount, which no rename leads into`,
        `umount ${shellWord(`${directory}/${displayPath(mount)}`)}, update, and mount it again; or ask the vendor to keep code out of it`,
      );
    const folder = existingParent(directory, path);
    if (!folders.has(folder)) folders.set(folder, whyUnmovable(under(directory, folder)));
    const isFile = kind !== 'add' && lstatSync(under(directory, path), { throwIfNoEntry: false })?.isFile();
    const why = folders.get(folder) ?? (isFile ? whyUnmovable(under(directory, path)) : undefined);
    if (why === undefined) continue;
    const where = folders.get(folder) === undefined ? path : folder;
    throw new Refusal(
      `cannot update: the new version changes ${displayPath(path)}, and ${displayPath(where) || 'the checkout'} is ${why}`,
      why.includes('chattr')
        ? `sudo chattr -i ${shellWord(under(directory, where).toString('utf8'))}, then try again`
        : 'mount it read-write, then try again',
    );
  }
}

/** The nearest folder above a path that is there. From the top: below a file or a link nothing is asked. */
function existingParent(directory: string, path: RawPath): RawPath {
  let deepest = '' as RawPath;
  for (const above of ancestorsOf(path).toReversed()) {
    if (lstatSync(under(directory, above), { throwIfNoEntry: false })?.isDirectory() !== true) break;
    deepest = above;
  }
  return deepest;
}

/**
 * What Git LFS keeps elsewhere, git hands out as a pointer where LFS is not set up: an appliance that runs on pointers.
 *
 * @throws Refusal with the first such path
 */
export async function verifyFilters(
  runtime: Runtime,
  directory: string,
  indexFile: string,
  paths: Uint8Array,
): Promise<void> {
  const fields = (await runtime.run(git.listFilters(directory, indexFile, paths))).stdout.split('\0');
  const at = fields.findIndex((field, index) => index % 3 === 2 && field === 'lfs');
  if (at === -1) return;
  for (const key of ['filter.lfs.process', 'filter.lfs.smudge']) {
    const { exitCode } = await runtime.run(git.configValue(directory, key), { allowFailure: true });
    if (exitCode === 0) return;
  }
  throw new Refusal(
    `cannot update: the new version keeps ${displayPath((fields[at - 2] ?? '') as RawPath)} in Git LFS, which is not set up here`,
    'sudo apt-get install -y git-lfs && git lfs install, then try again',
  );
}
