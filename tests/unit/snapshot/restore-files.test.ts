import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { localRuntime } from '../../../orchestrator/runtime/local.ts';
import { compareTree } from '../../../orchestrator/snapshot/compare-tree.ts';
import { backupFiles, readInventory } from '../../../orchestrator/snapshot/files.ts';
import type { SnapshotRoot } from '../../../orchestrator/snapshot/manifest.ts';
import { restoreRoot } from '../../../orchestrator/snapshot/restore-root.ts';
import { applianceIn } from '../support/an-appliance.ts';
import { cutShort } from '../support/cut-short.ts';
import { folderInMemory, removeAll, temporaryFolder } from '../support/temporary-folder.ts';
import { treeFacts, type TreeFacts } from '../support/tree-facts.ts';
import { operate, operation } from '../support/tree-operations.ts';

/** A tree in `folder`/box whose files are in a snapshot, and the way back to it. */
class Saved {
  readonly path: string;
  readonly before: TreeFacts;
  readonly #root: SnapshotRoot;
  readonly #folder: string;

  private constructor(folder: string, root: SnapshotRoot) {
    this.#folder = folder;
    this.#root = root;
    this.path = join(folder, 'box');
    this.before = this.now();
  }

  static async of(folder: string, make: (root: string) => void): Promise<Saved> {
    const appliance = applianceIn(folder, {
      stateDirectory: '../state',
      backups: { directory: '../backups' },
    });
    mkdirSync(join(folder, 'snapshot'));
    make(appliance.directory);
    const { roots } = await backupFiles(appliance, appliance.config, join(folder, 'snapshot'));
    const [root] = roots;
    if (!root) throw new Error('no root was saved');
    return new Saved(folder, root);
  }

  get failed(): string {
    return join(this.#folder, 'failed');
  }

  now(): TreeFacts {
    return treeFacts(this.path);
  }

  /** What the comparison that a restore ends with finds fault with. */
  async damaged(): Promise<string[]> {
    const inventory = readInventory(join(this.#folder, 'snapshot', this.#root.inventory));
    const { damaged, folders } = await compareTree(this.#root, inventory);
    return [...damaged, ...folders].map(({ entry, what }) => `${entry.path}: ${what}`);
  }

  async restore(): Promise<void> {
    const places = { work: join(this.#folder, 'work'), failed: this.failed, runId: 'now' };
    await restoreRoot(localRuntime, join(this.#folder, 'snapshot'), this.#root, places);
  }
}

function makeTree(root: string): void {
  mkdirSync(join(root, 'a/b/c'), { recursive: true });
  mkdirSync(join(root, 'data'));
  for (const [name, text] of [
    ['a/one', 'first'],
    ['a/b/two', 'second'],
    ['a/b/c/*', 'star'],
    ['b', 'file b'],
    ['-rf', 'dashes'],
  ] as const)
    writeFileSync(join(root, name), text);
  writeFileSync(Buffer.from(`${root}/data/\xff\xfe`, 'latin1'), 'no UTF-8');
  writeFileSync(join(root, 'data/two\nlines'), 'new line');
  linkSync(join(root, 'a/one'), join(root, 'data/same'));
  symlinkSync('a/one', join(root, 'link'));
  chmodSync(join(root, 'b'), 0o4750);
  chmodSync(join(root, 'data'), 0o2770);
}

test(
  'after any changes the tree is what it was, to the times of its folders; and after a second time, too',
  { timeout: 60_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { maxLength: 12 }),
        fc.array(operation, { minLength: 1, maxLength: 25 }),
        async (first, then) => {
          const folder = folderInMemory();
          const saved = await Saved.of(folder, (root) => {
            makeTree(root);
            operate(root, first);
          });
          operate(saved.path, then);
          await saved.restore();
          expect(saved.now()).toEqual(saved.before);
          await saved.restore();
          expect(saved.now()).toEqual(saved.before);
          removeAll(folder);
        },
      ),
      { numRuns: 40, endOnFailure: false },
    );
  },
);

describe('nothing is deleted', () => {
  test('what the failed update made is kept aside', async () => {
    const saved = await Saved.of(temporaryFolder(), makeTree);
    writeFileSync(join(saved.path, 'b'), 'made by the update');
    mkdirSync(join(saved.path, 'new'));
    writeFileSync(join(saved.path, 'new/x'), 'also');
    await saved.restore();
    expect(readFileSync(join(saved.failed, 'b'), 'utf8')).toBe('made by the update');
    expect(readFileSync(join(saved.failed, 'new/x'), 'utf8')).toBe('also');
    expect(saved.now()).toEqual(saved.before);
  });

  test('a second attempt keeps its own beside that of the first', async () => {
    const saved = await Saved.of(temporaryFolder(), makeTree);
    for (const text of ['first', 'second']) {
      writeFileSync(join(saved.path, 'b'), text);
      await saved.restore();
    }
    expect([readdirSync(saved.failed), readdirSync(`${saved.failed}~2`)]).toEqual([['b'], ['b']]);
  });

  test('a second attempt keeps a folder where the first has kept a file', async () => {
    const saved = await Saved.of(temporaryFolder(), makeTree);
    rmSync(join(saved.path, 'a'), { recursive: true });
    writeFileSync(join(saved.path, 'a'), 'a file');
    await saved.restore();
    writeFileSync(join(saved.path, 'a/new'), 'in the folder that was a file before');
    await saved.restore();
    expect(saved.now()).toEqual(saved.before);
  });
});

describe('special cases', () => {
  test('an empty file, an empty folder, a sparse and a big file come back', async () => {
    const saved = await Saved.of(temporaryFolder(), (root) => {
      mkdirSync(join(root, 'empty'));
      writeFileSync(join(root, 'nothing'), '');
      writeFileSync(join(root, 'big'), Buffer.alloc(2 << 20, 'abc'));
      execFileSync('truncate', ['--size=5M', join(root, 'sparse')]);
    });
    for (const name of readdirSync(saved.path)) rmSync(join(saved.path, name), { recursive: true });
    await saved.restore();
    expect(saved.now()).toEqual(saved.before);
  });

  test('a tree that is gone altogether comes back', async () => {
    const saved = await Saved.of(temporaryFolder(), makeTree);
    rmSync(saved.path, { recursive: true });
    await saved.restore();
    expect(saved.now()).toEqual(saved.before);
  });

  test('a hard link that was renamed is one again, not a copy', async () => {
    const saved = await Saved.of(temporaryFolder(), makeTree);
    renameSync(join(saved.path, 'data/same'), join(saved.path, 'data/renamed'));
    await saved.restore();
    expect(saved.now()).toEqual(saved.before);
  });

  test('hard links to a symbolic link come back, one by one too', async () => {
    const saved = await Saved.of(temporaryFolder(), (root) => {
      symlinkSync('nowhere', join(root, 'a'));
      linkSync(join(root, 'a'), join(root, 'b'));
    });
    rmSync(join(saved.path, 'b'));
    await saved.restore();
    expect(saved.now()).toEqual(saved.before);
  });

  test('a file that has a name outside the tree comes back, though that name stays where it is', async () => {
    const folder = temporaryFolder();
    const saved = await Saved.of(folder, (root) => {
      writeFileSync(join(root, 'x'), 'old');
      linkSync(join(root, 'x'), join(folder, 'a backup by hard links'));
    });
    rmSync(join(saved.path, 'x'));
    writeFileSync(join(saved.path, 'x'), 'new');
    await saved.restore();
    expect(saved.now()).toEqual(saved.before);
    expect(await saved.damaged()).toEqual([]);
  });

  test('a pipe is no obstacle, and is left where it is', async () => {
    const saved = await Saved.of(temporaryFolder(), (root) => {
      makeTree(root);
      execFileSync('mkfifo', [join(root, 'pipe')]);
    });
    rmSync(join(saved.path, 'b'));
    await saved.restore();
    expect(saved.now()['b']).toEqual(saved.before['b']);
  });

  test('files in folders that nobody may write in come back', async () => {
    const saved = await Saved.of(temporaryFolder(), (root) => {
      mkdirSync(join(root, 'closed/inner'), { recursive: true });
      writeFileSync(join(root, 'closed/inner/x'), 'old');
      for (const name of ['closed/inner', 'closed']) chmodSync(join(root, name), 0o555);
    });
    writeFileSync(join(saved.path, 'closed/inner/x'), 'written in place');
    mkdirSync(join(saved.path, 'new'));
    writeFileSync(join(saved.path, 'new/x'), '');
    chmodSync(join(saved.path, 'new'), 0o555);
    await saved.restore();
    expect(saved.now()).toEqual(saved.before);
  });
});

test('killed at any change, the next attempt brings the tree back', { timeout: 60_000 }, async () => {
  const saved = await Saved.of(folderInMemory(), makeTree);
  for (let count = 0; ; count += 1) {
    rmSync(join(saved.path, 'a/b'), { recursive: true });
    writeFileSync(join(saved.path, 'a/b'), 'a file now');
    rmSync(join(saved.path, 'b'));
    mkdirSync(join(saved.path, 'b/new'), { recursive: true });
    writeFileSync(join(saved.path, 'data/same'), 'written in place');
    writeFileSync(join(saved.path, 'data/added'), '');
    const wasCut = await cutShort(count, async () => await saved.restore());
    if (wasCut) await saved.restore();
    expect(saved.now()).toEqual(saved.before);
    if (!wasCut) break;
    removeAll(saved.failed);
  }
});
