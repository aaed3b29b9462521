import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from './atomic-file.ts';

/**
 * Makes a folder a git repository of its own, as far as git looks: so that `git clean -fdx` in the checkout around it
 * leaves it alone. May be run twice.
 */
export function keepFromGitClean(path: string): void {
  if (existsSync(join(path, '.git', 'HEAD'))) return;
  for (const folder of ['.git', '.git/objects', '.git/refs']) {
    mkdirSync(join(path, folder), { recursive: true, mode: 0o700 });
  }
  writeFileAtomic(join(path, '.git', 'HEAD'), 'ref: refs/heads/main\n');
}
