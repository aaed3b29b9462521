import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** Nothing of the developer's own configuration and hooks. */
const environment = {
  PATH: process.env['PATH'] ?? '/usr/bin:/bin',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'Vendor',
  GIT_AUTHOR_EMAIL: 'vendor@example.org',
  GIT_COMMITTER_NAME: 'Vendor',
  GIT_COMMITTER_EMAIL: 'vendor@example.org',
};

export function git(directory: string, ...args: string[]): string {
  return execFileSync('git', args, {
    cwd: directory,
    env: environment,
    encoding: 'latin1',
    stdio: 'pipe',
  }).trim();
}

/** A repository with one commit for each edit; resolves to their ids. The checkout stands at the first. */
export function repositoryWith(
  folder: string,
  ...edits: readonly ((directory: string) => void)[]
): { directory: string; gitDirectory: string; commits: string[] } {
  const directory = join(folder, 'box');
  mkdirSync(directory, { recursive: true });
  git(directory, 'init', '--quiet', '--template=', '--initial-branch=main');
  const commits = edits.map((edit) => {
    edit(directory);
    git(directory, 'add', '--all');
    git(directory, 'commit', '--quiet', '--allow-empty', '--message=a release');
    return git(directory, 'rev-parse', 'HEAD');
  });
  git(directory, 'reset', '--quiet', '--hard', commits[0] ?? 'HEAD');
  return { directory, gitDirectory: join(directory, '.git'), commits };
}
