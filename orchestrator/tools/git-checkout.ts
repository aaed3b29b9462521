import { globSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Refusal } from '../lib/errors.ts';
import { shellWord } from '../lib/shell-word.ts';
import type { Runtime } from '../runtime/runtime.ts';
import * as git from './git.ts';
import { absoluteGitDirectory, changedFiles } from './git-facts.ts';

/**
 * What an update or a rollback needs of the checkout: nobody at work in it, nothing changed, nothing hidden from that
 * question, and no kind of checkout that a plan of renames would not do justice to.
 *
 * @param checkout.except a tracked path that may be changed: a registry that older appliances track
 * @throws Refusal with the fix
 */
export async function verifyCheckout(
  runtime: Runtime,
  directory: string,
  { commit, except }: { readonly commit: string; readonly except: string | undefined },
): Promise<void> {
  await verifyNoLocks(runtime, directory);
  const sparse = await runtime.run(git.configValue(directory, 'core.sparseCheckout'), { allowFailure: true });
  if (sparse.stdout.trim() === 'true')
    throw new Refusal(
      'cannot go on: the checkout is sparse, which is not supported yet',
      `git -C ${shellWord(directory)} sparse-checkout disable`,
    );
  await verifyWholeIndex(runtime, directory);
  await verifyNothingHidden(runtime, directory);
  const changed = await changedFiles(runtime, directory, except);
  if (changed.length > 0) {
    const shown = changed
      .slice(0, 5)
      .map((line) => `  ${line}`)
      .join('\n');
    throw new Refusal(
      `cannot go on: ${changed.length} tracked ${changed.length === 1 ? 'file was' : 'files were'} changed in the checkout (at ${commit.slice(0, 7)}):\n${shown}`,
      `git -C ${shellWord(directory)} stash  (keeps them), or git -C ${shellWord(directory)} checkout -- .  (drops them)`,
    );
  }
}

/**
 * Removes what a git that was killed, or a power cut, left of its locks on Holdfast's own references: nobody else writes
 * those. Only for whoever holds the lock of the appliance and has ended what the run left at work. May be run twice.
 */
export async function dropOwnLocks(runtime: Runtime, directory: string): Promise<void> {
  const common = await runtime.run(git.commonGitDirectory(directory), { allowFailure: true });
  // What is wrong with the checkout is told by whoever needs it.
  if (common.exitCode !== 0) return;
  const folder = resolve(directory, common.stdout.trim());
  for (const lock of globSync('refs/holdfast/**/*.lock', { cwd: folder }))
    rmSync(join(folder, lock), { force: true });
}

/**
 * A lock of git's means that it is at work, or was killed there. To be asked before git itself finds it in a fetch, and
 * calls it something else.
 *
 * @throws Refusal with its name
 */
export async function verifyNoLocks(runtime: Runtime, directory: string): Promise<void> {
  const own = await absoluteGitDirectory(runtime, directory);
  const common = await runtime.run(git.commonGitDirectory(directory));
  // Two folders where the checkout is a linked worktree.
  for (const folder of new Set([own, resolve(directory, common.stdout.trim())])) {
    const [lock] = globSync(['*.lock', 'refs/**/*.lock'], { cwd: folder });
    if (lock === undefined) continue;
    throw new Refusal(
      `cannot go on: git left ${lock} behind, or is at work in the checkout`,
      `wait for git to end; if none runs: rm ${shellWord(join(folder, lock))}`,
    );
  }
}

/** A split index is one half of an index, whose other half git deletes when it has grown old. */
async function verifyWholeIndex(runtime: Runtime, directory: string): Promise<void> {
  const { stdout } = await runtime.run(git.sharedIndexPath(directory));
  if (stdout.trim() === '') return;
  throw new Refusal(
    "cannot go on: git's index is split, and a snapshot holds one whole file of it",
    `git -C ${shellWord(directory)} config core.splitIndex false && git -C ${shellWord(directory)} update-index --no-split-index`,
  );
}

/** Files whose changes git was told not to see: an update would take them away without a word. */
async function verifyNothingHidden(runtime: Runtime, directory: string): Promise<void> {
  const { stdout } = await runtime.run(git.listFlags(directory));
  const hidden = stdout.split('\0').filter((line) => /^([a-z]|S) /.test(line));
  const [first] = hidden;
  if (first === undefined) return;
  const name = first.slice(2);
  throw new Refusal(
    `cannot go on: git was told not to look at ${name}${hidden.length > 1 ? ` and ${hidden.length - 1} more` : ''} (assume-unchanged or skip-worktree), so nobody knows whether it was changed`,
    `git -C ${shellWord(directory)} update-index --no-assume-unchanged --no-skip-worktree -- ${shellWord(name)}`,
  );
}
