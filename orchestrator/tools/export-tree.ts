import { mkdirSync } from 'node:fs';
import { removeTree } from '../lib/remove-tree.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { absoluteGitDirectory } from './git-facts.ts';
import * as git from './git.ts';

/**
 * Writes the files of a commit into a folder, by an index of its own: a git worktree would share the live repository's
 * configuration, and the hooks of packages write into it (husky does).
 */
export async function exportTree(
  { runtime, directory }: { readonly runtime: Runtime; readonly directory: string },
  commit: string,
  folder: string,
): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const indexFile = `${folder}.index`;
  await runtime.run(git.readTree(directory, commit, indexFile));
  const all = await runtime.run(git.listIndex(directory, indexFile, '*'));
  const gitDirectory = await absoluteGitDirectory(runtime, directory);
  const paths = Buffer.from(all.stdout, 'latin1');
  await runtime.run(git.checkoutIndex({ gitDirectory, indexFile, workTree: folder, paths }));
  removeTree(indexFile);
}
