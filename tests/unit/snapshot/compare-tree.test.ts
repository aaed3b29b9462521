import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { displayPath } from '../../../orchestrator/lib/raw-path.ts';
import { compareTree } from '../../../orchestrator/snapshot/compare-tree.ts';
import { scan, withChecksums } from '../../../orchestrator/snapshot/inventory.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** Makes a small tree, takes its inventory, changes it, and tells what the comparison says. */
async function afterwards(change: (root: string) => void): Promise<Record<string, string[]>> {
  const root = join(temporaryFolder(), 'root');
  mkdirSync(join(root, 'folder/inner'), { recursive: true });
  for (const name of ['file', 'folder/a', 'folder/inner/b']) writeFileSync(join(root, name), 'four');
  writeFileSync(join(root, 'one'), 'linked');
  linkSync(join(root, 'one'), join(root, 'two'));
  linkSync(join(root, 'one'), join(root, 'folder/three'));
  symlinkSync('file', join(root, 'link'));
  const tree = { path: root, exclude: [], patterns: [] };
  const inventory = await withChecksums(root, scan(tree));
  change(root);
  const { damaged, folders, extra } = await compareTree(tree, inventory);
  const named = (list: readonly { entry: { path: (typeof extra)[number]['path'] }; what: string }[]) =>
    list.map(({ entry, what }) => `${displayPath(entry.path) || '.'} ${what}`);
  return {
    damaged: named(damaged),
    // The time of a folder that something was added to or taken from.
    folders: named(folders).filter((line) => !line.endsWith('modification time differs')),
    extra: extra.map(({ path }) => displayPath(path)),
  };
}
const nothing = { damaged: [], folders: [], extra: [] };

test('a tree that nobody changed is the same', async () => {
  expect(await afterwards(() => {})).toEqual(nothing);
});

describe('a file', () => {
  test('that is missing is told', async () => {
    expect(await afterwards((root) => rmSync(join(root, 'file')))).toEqual({
      ...nothing,
      damaged: ['file is missing'],
    });
  });

  test('with other bytes is told, though its size and its time are as before', async () => {
    const forge = (root: string) => {
      const { atime, mtime } = statSync(join(root, 'file'));
      utimesSync(join(root, 'file'), atime, mtime);
      writeFileSync(join(root, 'file'), 'FOUR');
      utimesSync(join(root, 'file'), atime, mtime);
    };
    const { damaged } = await afterwards(forge);
    expect(damaged?.[0]).toMatch(/^file (has other bytes|modification time differs)$/);
  });

  test('with other bytes is told by its bytes where the time is the very same', async () => {
    // Whole seconds, which utimes sets exactly.
    const root = temporaryFolder();
    writeFileSync(join(root, 'x'), 'four');
    utimesSync(join(root, 'x'), 1_700_000_000, 1_700_000_000);
    const tree = { path: root, exclude: [], patterns: [] };
    const inventory = await withChecksums(root, scan(tree));
    writeFileSync(join(root, 'x'), 'FOUR');
    utimesSync(join(root, 'x'), 1_700_000_000, 1_700_000_000);
    expect((await compareTree(tree, inventory)).damaged.map(({ what }) => what)).toEqual(['has other bytes']);
  });

  test('with another mode, size or time is told', async () => {
    expect((await afterwards((root) => chmodSync(join(root, 'file'), 0o751))).damaged).toEqual([
      expect.stringMatching(/^file mode 6\d\d became 751$/),
    ]);
    expect((await afterwards((root) => appendFileSync(join(root, 'file'), '!'))).damaged).toEqual([
      'file 4 bytes became 5',
    ]);
    expect((await afterwards((root) => utimesSync(join(root, 'file'), 1, 1))).damaged).toEqual([
      'file modification time differs',
    ]);
  });
});

describe('another type', () => {
  test('a file that became a folder is damaged, and what lies in it is extra', async () => {
    const change = (root: string) => {
      rmSync(join(root, 'file'));
      mkdirSync(join(root, 'file/new'), { recursive: true });
      writeFileSync(join(root, 'file/new/x'), '');
    };
    expect(await afterwards(change)).toEqual({
      damaged: ['file was a file, is a directory'],
      folders: [],
      extra: ['file/new'],
    });
  });

  test('a folder that became a file: the folder, and everything that lay in it', async () => {
    const change = (root: string) => {
      rmSync(join(root, 'folder/inner'), { recursive: true });
      writeFileSync(join(root, 'folder/inner'), '');
    };
    expect(await afterwards(change)).toEqual({
      damaged: ['folder/inner/b is missing'],
      folders: ['folder/inner was a directory, is a file'],
      extra: [],
    });
  });

  test('a link that points elsewhere', async () => {
    const change = (root: string) => {
      rmSync(join(root, 'link'));
      symlinkSync('folder', join(root, 'link'));
    };
    expect((await afterwards(change)).damaged).toEqual(['link points elsewhere']);
  });
});

describe('what was added', () => {
  test('a new folder is named once, not with all that lies in it', async () => {
    const change = (root: string) => {
      mkdirSync(join(root, 'new/inner'), { recursive: true });
      for (const name of ['new/x', 'new/inner/y', 'new-file', 'folder/z'])
        writeFileSync(join(root, name), '');
    };
    expect(await afterwards(change)).toEqual({ ...nothing, extra: ['folder/z', 'new', 'new-file'] });
  });

  test('a name that begins like a new folder is one of its own', async () => {
    const change = (root: string) => {
      mkdirSync(join(root, 'new'));
      mkdirSync(join(root, 'new2'));
    };
    expect((await afterwards(change)).extra).toEqual(['new', 'new2']);
  });
});

describe('a folder', () => {
  test('that is missing is told, with what lay in it', async () => {
    expect(await afterwards((root) => rmSync(join(root, 'folder/inner'), { recursive: true }))).toEqual({
      damaged: ['folder/inner/b is missing'],
      folders: ['folder/inner is missing'],
      extra: [],
    });
  });

  test('with another mode or time is told', async () => {
    expect((await afterwards((root) => chmodSync(join(root, 'folder'), 0o711))).folders).toEqual([
      expect.stringMatching(/^folder mode 7\d\d became 711$/),
    ]);
    const root = temporaryFolder();
    const tree = { path: root, exclude: [], patterns: [] };
    const inventory = scan(tree);
    utimesSync(root, 1, 1);
    expect((await compareTree(tree, inventory)).folders.map(({ what }) => what)).toEqual([
      'modification time differs',
    ]);
  });
});

describe('names of one file', () => {
  test('come back together: one that became a copy damages them all', async () => {
    const change = (root: string) => {
      unlinkSync(join(root, 'two'));
      writeFileSync(join(root, 'two'), 'linked');
    };
    const { damaged } = await afterwards(change);
    expect(damaged?.map((line) => line.split(' ')[0]).toSorted()).toEqual(['folder/three', 'one', 'two']);
  });

  test('come back together when one of them was renamed, though there are as many as before', async () => {
    const { damaged, extra } = await afterwards((root) => renameSync(join(root, 'two'), join(root, 'four')));
    expect(damaged?.map((line) => line.split(' ')[0]).toSorted()).toEqual(['folder/three', 'one', 'two']);
    expect(extra).toEqual(['four']);
  });

  test('are left alone when only another file differs', async () => {
    expect((await afterwards((root) => rmSync(join(root, 'file')))).damaged).toEqual(['file is missing']);
  });

  test('a further name outside the tree changes nothing', async () => {
    expect(
      await afterwards((root) => linkSync(join(root, 'file'), join(root, '../a backup by hard links'))),
    ).toEqual(nothing);
  });
});

test('an empty root that was not there before is nothing that was added: it may be a mount point', async () => {
  const tree = { path: temporaryFolder(), exclude: [], patterns: [] };
  expect(await compareTree(tree, [])).toMatchObject(nothing);
});

test('a root that is gone is told as a whole', async () => {
  const { damaged, folders } = await afterwards((root) => rmSync(root, { recursive: true }));
  expect(folders).toContain('. is missing');
  expect(damaged).toHaveLength(7);
});
