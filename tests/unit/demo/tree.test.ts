import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compareTrees, readTree } from '../../../orchestrator/demo/tree.ts';

let root: string;
const at = (path: string) => join(root, path);
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'demo-tree-'));
  for (const folder of ['.git', '.holdfast', 'backups', 'data']) mkdirSync(at(folder));
  writeFileSync(at('data/a'), 'one');
  symlinkSync('a', at('data/link'));
});
afterEach(() => rmSync(root, { recursive: true }));

/** Changes a file and gives it its times back. */
function disguised(path: string, change: () => void): void {
  const { atime, mtime } = statSync(path);
  change();
  utimesSync(path, atime, mtime);
}

describe('a tree', () => {
  it('is the same as itself, whatever happens to history, state and snapshots', () => {
    const before = readTree(root);
    for (const folder of ['.git', '.holdfast', 'backups']) writeFileSync(at(`${folder}/new`), 'x');
    expect(compareTrees(before, readTree(root))).toEqual([]);
    expect([...before.keys()]).toEqual(['data', 'data/a', 'data/link']);
  });

  it.each([
    [
      'other bytes of the same length',
      () => disguised(at('data/a'), () => writeFileSync(at('data/a'), 'two')),
    ],
    ['another mode', () => chmodSync(at('data/a'), 0o600)],
    ['another time', () => utimesSync(at('data/a'), 1, 1)],
    ['a file too many', () => disguised(at('data'), () => writeFileSync(at('data/b'), ''))],
    ['a file too few', () => disguised(at('data'), () => rmSync(at('data/a')))],
    [
      'a link that leads elsewhere',
      () => {
        rmSync(at('data/link'));
        symlinkSync('b', at('data/link'));
      },
    ],
  ])('is told from one with %s', (_, change) => {
    const before = readTree(root);
    change();
    expect(compareTrees(before, readTree(root))).not.toEqual([]);
  });
});
