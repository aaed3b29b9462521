import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { attemptUpdate } from '../support/attempt-update.ts';
import { tally } from '../support/fault-tally.ts';
import { Ledger } from '../support/ledger.ts';
import { can, needs } from '../support/needs.ts';
import { replaceIn } from '../support/releases.ts';
import { differences } from '../support/state.ts';
import { captureTree } from '../support/tree-state.ts';

/*
 * No rename leads from one mount to another, be they of one file system. So each mount that holds data is restored in
 * itself; what must be renamed across is refused.
 */

let ledger: Ledger;
let installed: string;
const at = (path: string) => join(ledger.directory, path);
const outside = (path: string) => join(ledger.sandbox.root, path);
const mounted: string[] = [];

function mount(point: string, ...args: string[]): void {
  mkdirSync(point, { recursive: true });
  execaSync('mount', [...args, point]);
  mounted.push(point);
}
const bind = (from: string, to: string) => {
  mkdirSync(from, { recursive: true });
  mount(to, '--bind', from);
};
const tmpfs = (to: string, size: string) => mount(to, '-t', 'tmpfs', '-o', `size=${size},mode=0755`, 'tmpfs');
function unmount(from = 0): void {
  for (const path of mounted.splice(from).toReversed()) execaSync('umount', ['--recursive', '--lazy', path]);
}

beforeAll(async () => {
  ledger = await Ledger.install();
  if (!can('mount')) return;
  tmpfs(outside('disk'), '4m');
  bind(outside('real/uploads'), at('uploads'));
  bind(outside('real/nested'), at('data/nested'));
  tmpfs(at('data/nested/deeper'), '4m');
  mkdirSync(outside('elsewhere'));
  symlinkSync('../elsewhere', at('linked'));
  for (const folder of places) {
    mkdirSync(join(folder(), 'kept'));
    writeFileSync(join(folder(), 'file'), 'before\n');
    writeFileSync(join(folder(), 'kept/file'), 'before\n');
  }
  const data = ['../disk', '../made-by-it', '../made-as-a-file', 'uploads', 'linked'];
  installed = await ledger.sandbox.publish((folder) =>
    replaceIn(
      folder,
      'appliance.yaml',
      'data:\n',
      `data:\n${data.map((path) => `  - path: ${path}\n`).join('')}`,
    ),
  );
  await ledger.succeed('update');
  await ledger.sandbox.publish((folder) => writeFileSync(join(folder, 'docs/news.txt'), 'news\n'));
});

afterEach(() => unmount(4));
afterAll(async () => {
  unmount();
  await ledger?.destroy();
});

/** Every tree that is a mount, or lies elsewhere. */
const places = [
  () => outside('disk'),
  () => at('uploads'),
  () => at('data/nested'),
  () => at('data/nested/deeper'),
  () => outside('elsewhere'),
];

/** What a restore sets aside inside a mount stays there until the next run has ended. */
const withoutSetAside = (found: readonly string[]) =>
  found.filter((line) => !line.includes('.holdfast-restore-'));
const failingAfter = async (does: () => unknown) =>
  await ledger.failing({ step: 'pull-code', operation: /^git .* update-ref/, when: 'after', does }, 'update');
const captureAll = async () => {
  const states = [await ledger.capture()];
  for (const place of places) states.push(await captureTree(place(), [], `${place()}: `));
  return new Map(states.flatMap((state) => [...state]));
};

describe('data that are a mount, hold mounts, are a link, lie on another file system, or are not there', () => {
  test('are restored each in itself, and what the update made is gone', async (context) => {
    needs(context, 'mount');
    const was = await captureAll();

    const outcome = await failingAfter(() => {
      for (const place of places) {
        writeFileSync(join(place(), 'file'), 'of the update\n');
        rmSync(join(place(), 'kept'), { recursive: true });
        writeFileSync(join(place(), 'kept'), 'a file now\n');
        mkdirSync(join(place(), 'added'));
      }
      mkdirSync(outside('made-by-it/deep'), { recursive: true });
      writeFileSync(outside('made-as-a-file'), 'x');
    });

    expect(outcome).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
    expect(withoutSetAside(differences(was, await captureAll()))).toEqual([]);
    expect(['made-by-it', 'made-as-a-file'].filter((name) => existsSync(outside(name)))).toEqual([]);
    expect(ledger.open().state.unfinishedRun()).toBeUndefined();
    tally(context, 'restored');
  });

  test('that the update has filled to the last byte come back all the same', async (context) => {
    needs(context, 'mount');
    const was = await captureAll();

    const outcome = await failingAfter(() => {
      writeFileSync(outside('disk/kept/file'), 'grown\n'.repeat(1000));
      execaSync('dd', ['if=/dev/zero', `of=${outside('disk/file')}`, 'bs=64k', 'count=16'], {
        reject: false,
      });
      execaSync('dd', ['if=/dev/zero', `of=${outside('disk/added')}`, 'bs=64k'], { reject: false });
      expect(() => writeFileSync(outside('disk/no room'), 'x'.repeat(9000))).toThrow('ENOSPC');
    });

    expect(outcome).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
    expect(withoutSetAside(differences(was, await captureAll()))).toEqual([]);
    tally(context, 'restored');
  });
});

describe('a mount where things are renamed is refused before anything is stopped:', () => {
  test.for<[string, string, RegExp]>([
    ['a product', 'web/dist', /web\/dist and .*\.holdfast lie on different file systems \(or mounts\)/],
    ['the state directory', '.holdfast', /box and .*\.holdfast lie on different file systems \(or mounts\)/],
    ['code that the target changes', 'docs', /changes docs\/news\.txt, and docs is a mount/],
  ])('%s', async ([, path, says], context) => {
    needs(context, 'mount');
    bind(at(path), at(path));

    expect(await attemptUpdate(ledger)).toMatchObject({
      exitCode: 3,
      error: expect.stringMatching(says),
      changed: [],
    });
    tally(context, 'unchanged');
  });
});

test('the whole checkout on a bind mount, its snapshots on another disk, a product behind a link: all as ever', async (context) => {
  needs(context, 'mount');
  mkdirSync(outside('dist'));
  execaSync('mv', [at('web/dist'), outside('dist/of-web')]);
  symlinkSync(outside('dist/of-web'), at('web/dist'));
  mount(ledger.directory, '--rbind', ledger.directory);
  tmpfs(at('backups'), '400m');
  execaSync('chmod', ['700', at('backups')]);
  writeFileSync(at('backups/label'), 'the disk of the snapshots\n');
  const was = await captureAll();

  const outcome = await ledger.failing(
    { step: 'build-frontend', operation: /^node build.js/, when: 'after' },
    'update',
  );

  expect(outcome).toMatchObject({ exitCode: 10 });
  expect(withoutSetAside(differences(was, await captureAll()))).toEqual([]);
  expect(readdirSync(outside('dist/of-web'))).toContain('server.js');
  expect(await ledger.run('update')).toMatchObject({ exitCode: 0, error: '' });
  expect(await ledger.sandbox.installedCommit()).not.toBe(installed);
  tally(context, 'restored');
});
