import { devNull } from 'node:os';
import type { Command } from '../runtime/runtime.ts';

/** Builders of the git commands of the demo's vendor: his own identity, nothing of the user's configuration or hooks. */

const identity = {
  GIT_CONFIG_GLOBAL: devNull,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'Demo',
  GIT_AUTHOR_EMAIL: 'demo@example.org',
  GIT_COMMITTER_NAME: 'Demo',
  GIT_COMMITTER_EMAIL: 'demo@example.org',
};

function vendorGit(cwd: string, ...args: string[]): Command {
  return { file: 'git', args, cwd, addEnv: identity, timeoutMs: 120_000, label: `git ${args[0] ?? ''}` };
}

export const initBare = (folder: string) =>
  vendorGit(folder, 'init', '--quiet', '--bare', '--initial-branch=main');
export const init = (folder: string) => vendorGit(folder, 'init', '--quiet', '--initial-branch=main');
export const addRemote = (folder: string, url: string) => vendorGit(folder, 'remote', 'add', 'origin', url);
/** What the home checkout tracks is tracked here too, even where its .gitignore says otherwise. */
export const addAll = (folder: string) => vendorGit(folder, 'add', '--all', '--force');
export const commitAll = (folder: string, message: string) =>
  vendorGit(folder, 'commit', '--quiet', '--no-verify', '-m', message);
export const tag = (folder: string, name: string) => vendorGit(folder, 'tag', '--no-sign', name);
export const push = (folder: string, name: string) =>
  vendorGit(folder, 'push', '--quiet', 'origin', 'HEAD:refs/heads/main', `refs/tags/${name}`);
export const clone = (url: string, folder: string) => vendorGit('/', 'clone', '--quiet', url, folder);

/**
 * Writes every file of the home checkout's index copy into a folder. It reads what git has, not what lies in the work
 * tree, and needs no history: a shallow clone will do.
 */
export function exportIndex(home: string, indexFile: string, into: string): Command {
  return {
    file: 'git',
    args: ['checkout-index', '--all', '--force', `--prefix=${into}/`],
    cwd: home,
    addEnv: { GIT_INDEX_FILE: indexFile },
    timeoutMs: 120_000,
    label: 'git checkout-index',
  };
}
