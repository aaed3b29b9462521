import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { localRuntime } from '../../../orchestrator/runtime/local.ts';
import { compareTree } from '../../../orchestrator/snapshot/compare-tree.ts';
import { backupFiles, readInventory } from '../../../orchestrator/snapshot/files.ts';
import { restoreRoot } from '../../../orchestrator/snapshot/restore-root.ts';
import { describeRoots } from '../../../orchestrator/snapshot/roots.ts';
import { applianceIn } from '../support/an-appliance.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { treeFacts } from '../support/tree-facts.ts';

/** What a snapshot of an appliance with these data holds, beside the checkout itself. */
function rootsOf(
  folder: string,
  data: readonly Record<string, unknown>[],
  more: Record<string, unknown> = {},
) {
  const appliance = applianceIn(folder, { data, ...more });
  return describeRoots(appliance, appliance.config);
}

test('the checkout is saved without git, products, state, backups and what is excluded', () => {
  const folder = temporaryFolder();
  const [files] = rootsOf(folder, [], {
    builds: { web: { dir: 'web', install: 'none', products: ['dist'] } },
    exclude: ['./tmp/'],
  });
  expect(files?.root.path).toBe(join(folder, 'box'));
  expect(files?.root.exclude).toEqual(['.git', 'web/dist', 'tmp', '.holdfast', 'backups']);
});

describe('data', () => {
  test.each(['data', './data', 'data/', 'data/.'])(
    'in the checkout, written %s, are saved with it',
    (path) => {
      const folder = temporaryFolder();
      const roots = rootsOf(folder, [{ path, exclude: ['cache/**'] }]);
      expect(roots.map(({ name }) => name)).toEqual(['files']);
      expect(roots[0]?.root.patterns).toContain('data/cache/**');
    },
  );

  test('by an absolute path into the checkout are saved with it', () => {
    const folder = temporaryFolder();
    const roots = rootsOf(folder, [{ path: join(folder, 'box/data'), exclude: ['*.log'] }]);
    expect(roots.map(({ root }) => root.patterns).flat()).toContain('data/*.log');
    expect(roots).toHaveLength(1);
  });

  test.each(['../uploads', '/srv/uploads'])('outside the checkout (%s) are a tree of their own', (path) => {
    const folder = temporaryFolder();
    const [, data] = rootsOf(folder, [{ path, exclude: ['cache/**'] }]);
    expect(data?.root.path).toBe(path.startsWith('/') ? path : join(folder, 'uploads'));
    expect(data?.root.patterns).toContain('cache/**');
  });

  test('behind a symbolic link are saved, and not the link only', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'big-disk/data'), { recursive: true });
    mkdirSync(join(folder, 'box'));
    symlinkSync('../big-disk/data', join(folder, 'box/data'));
    const [, data] = rootsOf(folder, [{ path: 'data' }]);
    expect(data?.root.path).toBe(join(folder, 'big-disk/data'));
  });

  test('whose name only begins with two dots lie in the checkout', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'box/..data'), { recursive: true });
    expect(rootsOf(folder, [{ path: '..data' }])).toHaveLength(1);
  });

  test('that hold the backups or the state do not save those into themselves', () => {
    const folder = temporaryFolder();
    const places = { stateDirectory: '../srv/state', backups: { directory: '../srv/backups' } };
    const [, data] = rootsOf(folder, [{ path: '../srv' }], places);
    expect(data?.root.exclude).toEqual(['state', 'backups']);
  });
});

test.runIf(statSync('/dev/shm', { throwIfNoEntry: false })?.isDirectory() === true)(
  'a root on another file system is restored inside it',
  async () => {
    const folder = temporaryFolder();
    const data = join('/dev/shm', `holdfast-test-${process.pid}`);
    mkdirSync(data);
    try {
      writeFileSync(join(data, 'x'), 'old');
      const appliance = applianceIn(folder, { data: [{ path: data }] });
      mkdirSync(join(folder, 'snapshot'));
      const { roots } = await backupFiles(appliance, appliance.config, join(folder, 'snapshot'));
      const [, root] = roots;
      if (!root) throw new Error('the data were not saved');
      writeFileSync(join(data, 'x'), 'new');
      writeFileSync(join(data, 'added'), '');
      const places = { work: join(folder, 'work'), failed: join(folder, 'failed'), runId: 'now' };
      await restoreRoot(localRuntime, join(folder, 'snapshot'), root, places);
      expect(readFileSync(join(data, 'x'), 'utf8')).toBe('old');
      const { damaged, folders, extra } = await compareTree(
        root,
        readInventory(join(folder, 'snapshot', root.inventory)),
      );
      expect([damaged, folders, extra]).toEqual([[], [], []]);
    } finally {
      rmSync(data, { recursive: true });
    }
  },
);

test('data that were not there before are not there after a restore, and the comparison agrees', async () => {
  const folder = temporaryFolder();
  const appliance = applianceIn(folder, { data: [{ path: '../uploads' }] });
  mkdirSync(join(folder, 'snapshot'));
  const { roots } = await backupFiles(appliance, appliance.config, join(folder, 'snapshot'));
  const [, root] = roots;
  if (!root) throw new Error('the absence of the data was not noted');
  mkdirSync(join(folder, 'uploads/new'), { recursive: true });
  writeFileSync(join(folder, 'uploads/new/x'), 'made by the update');
  const places = { work: join(folder, 'work'), failed: join(folder, 'failed'), runId: 'now' };
  for (let times = 0; times < 2; times += 1) {
    await restoreRoot(localRuntime, join(folder, 'snapshot'), root, places);
    expect(Object.keys(treeFacts(folder))).not.toContain('uploads');
    expect((await compareTree(root, [])).extra).toEqual([]);
  }
  expect(readFileSync(join(folder, 'failed/new/x'), 'utf8')).toBe('made by the update');
});
