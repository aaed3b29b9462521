import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Edit } from './releases.ts';

const root = join(import.meta.dirname, '..', '..');

/** What a checkout needs to run Holdfast from its own files. */
const parts = [
  'run.sh',
  '.nvmrc',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'orchestrator',
  'lxd',
];

/** Our own Holdfast, as it is in this working tree, becomes part of a release. */
export const addHoldfast: Edit = (folder) => {
  for (const part of parts) cpSync(join(root, part), join(folder, part), { recursive: true });
};

/** Makes our packages those of a checkout with the same lockfile: its first start installs nothing. */
export function lendPackages(directory: string): void {
  const hash = createHash('sha256');
  for (const name of ['package.json', 'package-lock.json']) hash.update(readFileSync(join(directory, name)));
  const folder = join(directory, '.holdfast/dependencies', hash.digest('hex').slice(0, 16));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  symlinkSync(realpathSync(join(root, 'node_modules')), join(folder, 'node_modules'));
}
