import type { Command } from '../runtime/runtime.ts';

/** Builders of git commands. None of them asks questions, runs hooks, or writes more than it says. */

const quiet = {
  GIT_TERMINAL_PROMPT: '0',
  // `status` would otherwise refresh the index file, and looking must not change anything.
  GIT_OPTIONAL_LOCKS: '0',
  // What is there, and not what somebody has it look like.
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_GRAFT_FILE: '/dev/null',
  LC_ALL: 'C',
};

/** What git hands to its hooks and aliases: a deployment by post-receive would act on the repository it was pushed to. */
const ofAnotherRepository = new Set([
  ...['GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE', 'GIT_COMMON_DIR', 'GIT_NAMESPACE', 'GIT_PREFIX'],
  ...['GIT_OBJECT_DIRECTORY', 'GIT_ALTERNATE_OBJECT_DIRECTORIES', 'GIT_QUARANTINE_PATH', 'GIT_SHALLOW_FILE'],
  ...['GIT_CONFIG', 'GIT_IMPLICIT_WORK_TREE', 'GIT_INTERNAL_SUPER_PREFIX', 'GIT_REPLACE_REF_BASE'],
]);

const callersEnvironment = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || ofAnotherRepository.has(name) ? [] : [[name, value]],
    ),
  );

/**
 * Nothing of the checkout's own that runs its programs, or takes somebody else's word for what changed. And what git
 * writes is durable when it ends (2.36 and later): a power cut right after a fetch left loose objects empty, and every
 * later fetch refused to go on over them.
 */
const settings = [
  ...['core.hooksPath=/dev/null', 'core.fsmonitor=false', 'core.quotePath=false', 'core.fsync=all'],
].flatMap((setting) => ['-c', setting]);

function git(directory: string, args: readonly string[], more: Partial<Command> = {}): Command {
  const { addEnv, ...rest } = more;
  return {
    file: 'git',
    args: [...settings, ...args],
    cwd: directory,
    env: callersEnvironment(),
    addEnv: { ...quiet, ...addEnv },
    timeoutMs: 120_000,
    label: `git ${args[0] ?? ''}`,
    ...rest,
  };
}

/** Everything of the remote under refs/holdfast/remote/: local branches, tags and FETCH_HEAD stay as they are. */
export function fetchAll(directory: string, remote: string): Command {
  return git(
    directory,
    [
      ...[
        'fetch',
        '--quiet',
        '--force',
        '--prune',
        '--no-tags',
        '--no-write-fetch-head',
        '--no-auto-maintenance',
        '--no-recurse-submodules',
        // Or git moves refs/remotes/* as well, by the remote's own configuration.
        '--refmap=',
      ],
      ...[remote, '+refs/heads/*:refs/holdfast/remote/heads/*', '+refs/tags/*:refs/holdfast/remote/tags/*'],
    ],
    {
      addEnv: {
        GIT_SSH_COMMAND: process.env['GIT_SSH_COMMAND'] ?? 'ssh -oBatchMode=yes -oConnectTimeout=20',
      },
    },
  );
}

export const revParse = (directory: string, revision: string) =>
  git(directory, ['rev-parse', '--verify', '--quiet', '--end-of-options', revision]);
export const symbolicHead = (directory: string) => git(directory, ['symbolic-ref', '--quiet', 'HEAD']);
export const gitDirectory = (directory: string) => git(directory, ['rev-parse', '--absolute-git-dir']);
export const commonGitDirectory = (directory: string) => git(directory, ['rev-parse', '--git-common-dir']);
/** The other half of an index that is split; nothing for one that is whole. */
export const sharedIndexPath = (directory: string) => git(directory, ['rev-parse', '--shared-index-path']);
export const topLevel = (directory: string) => git(directory, ['rev-parse', '--show-toplevel']);
export const remoteUrl = (directory: string, remote: string) => git(directory, ['remote', 'get-url', remote]);
export const isAncestor = (directory: string, older: string, newer: string) =>
  git(directory, ['merge-base', '--is-ancestor', older, newer]);
export const checkIgnored = (directory: string, path: string) =>
  git(directory, ['check-ignore', '--quiet', '--no-index', '--', path]);
export const configValue = (directory: string, key: string) => git(directory, ['config', '--get', key]);
export const listTags = (directory: string, pattern: string) =>
  git(directory, [
    'for-each-ref',
    '--sort=-v:refname',
    '--format=%(refname)',
    `refs/holdfast/remote/tags/${pattern}`,
  ]);
export const describeCommit = (directory: string, commit: string) =>
  git(directory, ['describe', '--tags', '--exact-match', commit]);
/** Each tag that a commit contains, with its object and, of an annotated one, the commit. */
export const mergedTags = (directory: string, commit: string) =>
  git(directory, [
    'for-each-ref',
    `--merged=${commit}`,
    '--format=%(refname) %(objectname) %(*objectname)',
    ...['refs/holdfast/remote/tags/', 'refs/tags/'],
  ]);
/** What an annotated tag says, below its first line too; nothing of any other. */
export const tagMessage = (directory: string, tag: string) =>
  git(directory, [
    'for-each-ref',
    '--count=1',
    '--format=%(if:equals=tag)%(objecttype)%(then)%(contents)%(end)',
    ...[`refs/holdfast/remote/tags/${tag}`, `refs/tags/${tag}`],
  ]);
export const remoteTagsAt = (directory: string, commit: string) =>
  git(directory, [
    'for-each-ref',
    `--points-at=${commit}`,
    '--format=%(refname:lstrip=4)',
    'refs/holdfast/remote/tags/',
  ]);
export const countCommits = (directory: string, range: string) =>
  git(directory, ['rev-list', '--count', range]);
export const subjects = (directory: string, range: string, limit: number) =>
  git(directory, ['log', '--format=%h %s', `--max-count=${limit}`, range]);
export const showFile = (directory: string, commit: string, path: string) =>
  git(directory, ['show', `${commit}:${path}`]);
/** The newest commit of any reference that added or changed a file. */
export const newestWith = (directory: string, path: string) =>
  git(directory, ['log', '--all', '--diff-filter=AM', '--max-count=1', '--format=%H', '--', path]);
/** Many of them at once: a header line, the bytes and a newline each. Paths hold no newline. */
export const showFiles = (directory: string, commit: string, paths: readonly string[]) =>
  git(directory, ['cat-file', '--batch'], {
    input: paths.map((path) => `${commit}:${path}\n`).join(''),
    encoding: 'latin1',
  });
export const listTree = (directory: string, commit: string, path: string) =>
  git(directory, ['ls-tree', '-r', '-z', '--name-only', commit, '--', path]);
/** The same, each after its mode, its type, its id and a tab. */
export const listTreeModes = (directory: string, commit: string, path: string) =>
  git(directory, ['ls-tree', '-r', '-z', commit, '--', path]);

/** Tracked changes only, machine-readable; untracked files belong to the operator. */
export const statusOfTracked = (directory: string) =>
  git(directory, ['status', '--porcelain=v1', '-z', '--untracked-files=no', '--ignore-submodules=none']);

/** Every tracked path after a letter and a space: a small one, or S, where git was told not to look at it. */
export const listFlags = (directory: string) => git(directory, ['ls-files', '-v', '-z']);

/** What differs between two commits, raw and NUL-separated, renames as delete and add. */
export const diffTree = (directory: string, from: string, to: string) =>
  git(
    directory,
    ['diff-tree', '-r', '-z', '--raw', '--no-renames', '--no-abbrev', '--ignore-submodules=none', from, to],
    {
      encoding: 'latin1',
    },
  );

/** An index that is moved must be whole. */
const oneFile = ['-c', 'core.splitIndex=false'];

/** Exit 1 if these paths differ between two commits, 0 if not. */
export const differ = (directory: string, from: string, to: string, paths: readonly string[]) =>
  git(directory, ['diff-tree', '--quiet', '-r', from, to, '--', ...paths]);

export const readTree = (directory: string, commit: string, indexFile: string) =>
  git(directory, [...oneFile, 'read-tree', commit], { addEnv: { GIT_INDEX_FILE: indexFile } });

export const listIndex = (directory: string, indexFile: string, pattern: string) =>
  git(directory, ['ls-files', '-z', '--', pattern], {
    addEnv: { GIT_INDEX_FILE: indexFile },
    encoding: 'latin1',
  });

/** The filter of each of these paths by the attributes of an index: path, "filter" and its name, NUL-separated. */
export const listFilters = (directory: string, indexFile: string, paths: Uint8Array) =>
  git(directory, ['check-attr', '--cached', '-z', '--stdin', 'filter'], {
    addEnv: { GIT_INDEX_FILE: indexFile },
    input: paths,
    encoding: 'latin1',
  });

/** Writes files of an index into another work tree, filters and line endings applied as git does on checkout. */
export const checkoutIndex = (options: {
  gitDirectory: string;
  indexFile: string;
  workTree: string;
  paths: Uint8Array;
}) =>
  git(options.workTree, ['checkout-index', '--force', '-z', '--stdin'], {
    addEnv: {
      GIT_DIR: options.gitDirectory,
      GIT_WORK_TREE: options.workTree,
      GIT_INDEX_FILE: options.indexFile,
    },
    input: options.paths,
    timeoutMs: 600_000,
  });

/** Fills an index file with the times and sizes of the work tree, so that the next `status` is quick and true. */
export const refreshIndex = (directory: string, indexFile: string) =>
  git(directory, [...oneFile, 'update-index', '-q', '--really-refresh'], {
    addEnv: { GIT_INDEX_FILE: indexFile },
  });

/** Moves a ref from one commit to another; git refuses if it stands elsewhere. */
export const updateRef = (
  directory: string,
  options: { ref: string; to: string; from?: string; reason: string },
) =>
  git(directory, [
    'update-ref',
    '--no-deref',
    '-m',
    options.reason,
    options.ref,
    options.to,
    ...(options.from === undefined ? [] : [options.from]),
  ]);

export const deleteRef = (directory: string, ref: string) => git(directory, ['update-ref', '-d', ref]);
