import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Refusal, messageOf } from '../lib/errors.ts';
import { shellWord } from '../lib/shell-word.ts';
import { CommandError, type Command, type Runtime } from '../runtime/runtime.ts';
import * as git from './git.ts';

/** One short function a fact. All of them only look. */

async function answer(runtime: Runtime, command: Command): Promise<string | undefined> {
  const result = await runtime.run(command, { allowFailure: true });
  return result.exitCode === 0 ? result.stdout.trim() : undefined;
}

/** Where the checkout stands. `ref` is undefined on a detached HEAD. */
export interface Head {
  readonly commit: string;
  readonly ref: string | undefined;
}

/** @throws Refusal if the folder is no git checkout, or git will not work in it */
export async function readHead(runtime: Runtime, directory: string): Promise<Head> {
  const top = await runtime.run(git.topLevel(directory), { allowFailure: true });
  if (top.exitCode !== 0) {
    if (/dubious ownership/.test(top.stderr)) {
      throw new Refusal(
        `cannot use the checkout ${directory}: it belongs to another user`,
        `run this as the owner of the checkout; or, if that is meant so: git config --global --add safe.directory ${shellWord(directory)}`,
      );
    }
    throw new Refusal(
      `cannot use ${directory}: it is not a git checkout`,
      'clone the appliance with git, then run this there',
    );
  }
  const commit = await answer(runtime, git.revParse(directory, 'HEAD^{commit}'));
  if (commit === undefined) throw new Refusal(`cannot use the checkout ${directory}: it has no commit yet`);
  return { commit, ref: await answer(runtime, git.symbolicHead(directory)) };
}

/** The commit that a revision names, among what was fetched, what is local, or as an id. */
export async function resolveRevision(
  runtime: Runtime,
  directory: string,
  revision: string,
): Promise<string | undefined> {
  if (revision.startsWith('-')) return undefined;
  for (const candidate of [
    `refs/holdfast/remote/heads/${revision}`,
    `refs/holdfast/remote/tags/${revision}`,
    revision,
  ]) {
    const commit = await answer(runtime, git.revParse(directory, `${candidate}^{commit}`));
    if (commit !== undefined && commit !== '') return commit;
  }
  return undefined;
}

export async function isDescendant(
  runtime: Runtime,
  directory: string,
  older: string,
  newer: string,
): Promise<boolean> {
  return (await answer(runtime, git.isAncestor(directory, older, newer))) !== undefined;
}

/** Whether git leaves a path of the checkout out, be it there or not. A folder ends with a slash. */
export async function isIgnored(runtime: Runtime, directory: string, path: string): Promise<boolean> {
  return (await answer(runtime, git.checkIgnored(directory, path))) !== undefined;
}

/**
 * Tracked files that were changed, for people, as `git status --short` names them.
 *
 * @param except a path that may: the registry of data migrations, which older appliances track
 */
export async function changedFiles(runtime: Runtime, directory: string, except?: string): Promise<string[]> {
  const { stdout } = await runtime.run(git.statusOfTracked(directory));
  return stdout.split('\0').filter((line) => line !== '' && line.slice(3) !== except);
}

/** A commit's name for people: its tag where it has one, else its short id. */
export async function labelOf(runtime: Runtime, directory: string, commit: string): Promise<string> {
  const remote = await answer(runtime, git.remoteTagsAt(directory, commit));
  const tag =
    remote?.split('\n').find((name) => name !== '') ??
    (await answer(runtime, git.describeCommit(directory, commit)));
  return tag ?? commit.slice(0, 7);
}

/** @throws Refusal that says which remote did not answer, and what git said */
export async function fetchRemote(runtime: Runtime, directory: string, remote: string): Promise<void> {
  if ((await answer(runtime, git.remoteUrl(directory, remote))) === undefined) {
    throw new Refusal(
      `cannot fetch: the checkout has no remote "${remote}"`,
      `git -C ${shellWord(directory)} remote add ${remote} URL`,
    );
  }
  try {
    await runtime.run(git.fetchAll(directory, remote));
  } catch (error) {
    const said =
      error instanceof CommandError
        ? error.stderr.trim().split('\n').slice(0, 3).join('; ')
        : messageOf(error);
    throw new Refusal(
      `cannot reach the remote "${remote}": ${said}`,
      'check the network and the access rights, then try again',
      error,
    );
  }
}

/** The commit that `follow` points at after a fetch. Throws Refusal if there is none. */
export async function followedCommit(
  runtime: Runtime,
  directory: string,
  follow: { branch: string } | { tag: string },
): Promise<{ commit: string; name: string }> {
  if ('branch' in follow) {
    const commit = await answer(
      runtime,
      git.revParse(directory, `refs/holdfast/remote/heads/${follow.branch}^{commit}`),
    );
    if (!commit)
      throw new Refusal(
        `cannot find the branch "${follow.branch}" on the remote`,
        'check sources.app.follow in appliance.yaml, or use --to',
      );
    return { commit, name: follow.branch };
  }
  const refs = await answer(runtime, git.listTags(directory, follow.tag));
  const newest = refs?.split('\n').find((ref) => ref !== '');
  const commit = newest && (await answer(runtime, git.revParse(directory, `${newest}^{commit}`)));
  if (!newest || !commit)
    throw new Refusal(
      `cannot find a tag that matches "${follow.tag}" on the remote`,
      'check sources.app.follow in appliance.yaml, or use --to',
    );
  return { commit, name: newest.replace('refs/holdfast/remote/tags/', '') };
}

/** A file of a commit as text, or undefined where the commit has none. */
export async function fileAt(
  runtime: Runtime,
  directory: string,
  commit: string,
  path: string,
): Promise<string | undefined> {
  const result = await runtime.run(git.showFile(directory, commit, path), { allowFailure: true });
  return result.exitCode === 0 ? result.stdout : undefined;
}

/**
 * A file as it lies in the checkout, else as the newest commit of any branch had it that had it at all. Undefined where
 * none did.
 */
export async function newestTextOf(
  runtime: Runtime,
  directory: string,
  path: string,
): Promise<string | undefined> {
  const live = join(directory, path);
  if (existsSync(live)) return readFileSync(live, 'utf8');
  const commit = await answer(runtime, git.newestWith(directory, path));
  return commit === undefined || commit === '' ? undefined : await fileAt(runtime, directory, commit, path);
}

/** Files of a commit as text, by path, with one process for all. What is not there is left out. */
export async function textsAt(
  runtime: Runtime,
  directory: string,
  commit: string,
  paths: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const asked = paths.filter((path) => !path.includes('\n'));
  const { stdout } = await runtime.run(git.showFiles(directory, commit, asked));
  const bytes = Buffer.from(stdout, 'latin1');
  const texts = new Map<string, string>();
  let at = 0;
  for (const path of asked) {
    const end = bytes.indexOf(10, at);
    const size = / blob (\d+)$/.exec(bytes.toString('latin1', at, end))?.[1];
    at = end + 1;
    if (size === undefined) continue;
    texts.set(path, bytes.toString('utf8', at, at + Number(size)));
    at += Number(size) + 1;
  }
  return texts;
}

/** Paths under a folder of a commit. */
export async function filesAt(
  runtime: Runtime,
  directory: string,
  commit: string,
  folder: string,
): Promise<string[]> {
  const result = await runtime.run(git.listTree(directory, commit, folder), { allowFailure: true });
  return result.exitCode === 0 ? result.stdout.split('\0').filter((path) => path !== '') : [];
}

/** Of these, those that are neither links nor submodules. */
export async function plainFilesAt(
  runtime: Runtime,
  directory: string,
  commit: string,
  folder: string,
): Promise<string[]> {
  const result = await runtime.run(git.listTreeModes(directory, commit, folder), { allowFailure: true });
  if (result.exitCode !== 0) return [];
  return result.stdout.split('\0').flatMap((line) => /^100\d+ blob \S+\t(.*)$/s.exec(line)?.[1] ?? []);
}

export async function absoluteGitDirectory(runtime: Runtime, directory: string): Promise<string> {
  const found = await answer(runtime, git.gitDirectory(directory));
  if (found === undefined) throw new Refusal(`cannot use ${directory}: it is not a git checkout`);
  return found;
}

/** How many commits, and the subjects of the newest. */
export async function summarise(
  runtime: Runtime,
  directory: string,
  from: string,
  to: string,
): Promise<{ count: number; subjects: string[] }> {
  const count = Number((await answer(runtime, git.countCommits(directory, `${from}..${to}`))) ?? '0');
  const lines = (await answer(runtime, git.subjects(directory, `${from}..${to}`, 10))) ?? '';
  return { count, subjects: lines.split('\n').filter((line) => line !== '') };
}
