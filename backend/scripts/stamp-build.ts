import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.dirname(import.meta.dirname);

/**
 * The commit being built: HOLDFAST_COMMIT (a staged build has no `.git`), else the checkout's HEAD, else "unknown".
 * git is asked only when it tracks this very package: an exported copy that lies inside somebody else's repository
 * would otherwise be stamped with that repository's commit.
 */
function findCommit(): string {
  const given = process.env['HOLDFAST_COMMIT'];
  if (given) return given;
  try {
    git('ls-files', '--error-unmatch', '--', 'package.json');
    return git('rev-parse', 'HEAD');
  } catch {
    return 'unknown';
  }
}

function git(...args: string[]): string {
  return execFileSync('git', args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim();
}

const manifest: { version: string } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const dist = path.join(root, 'dist');
mkdirSync(dist, { recursive: true });
writeFileSync(
  path.join(dist, 'build-info.json'),
  `${JSON.stringify({ commit: findCommit(), release: manifest.version })}\n`,
);
