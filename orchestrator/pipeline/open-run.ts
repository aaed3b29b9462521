import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { StateDirectory } from '../appliance/state.ts';
import { removeDurably, writeFileAtomic } from '../lib/atomic-file.ts';

/*
 * Where the state of an open run lies, beside the checkout's git data: an interrupted update may have left an
 * appliance.yaml that is missing, cannot be used, or names another state directory.
 */

function pointerPath(directory: string): string | undefined {
  const git = join(directory, '.git');
  const stat = lstatSync(git, { throwIfNoEntry: false });
  if (stat?.isDirectory()) return join(git, 'holdfast-open-run');
  // A linked worktree has a file there, which says where its git folder lies (gitrepository-layout(5)).
  const elsewhere = stat?.isFile() ? /^gitdir: (.+)$/m.exec(readFileSync(git, 'utf8'))?.[1] : undefined;
  return elsewhere === undefined ? undefined : join(resolve(directory, elsewhere), 'holdfast-open-run');
}

export function pointToOpenRun(directory: string, statePath: string): void {
  const path = pointerPath(directory);
  if (path !== undefined) writeFileAtomic(path, `${statePath}\n`);
}

export function forgetOpenRun(directory: string): void {
  const path = pointerPath(directory);
  if (path !== undefined && existsSync(path)) removeDurably(path);
}

/** The state directory and the id of the run that is open in a checkout, whatever its configuration says now. */
export function findOpenRun(directory: string): { state: StateDirectory; run: string } | undefined {
  const path = pointerPath(directory);
  if (path === undefined || !existsSync(path)) return undefined;
  const state = new StateDirectory(readFileSync(path, 'utf8').trim());
  const run = state.unfinishedRun();
  return run === undefined ? undefined : { state, run };
}
