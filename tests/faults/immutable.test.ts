import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { attemptUpdate } from '../support/attempt-update.ts';
import { tally } from '../support/fault-tally.ts';
import { Ledger } from '../support/ledger.ts';
import { can, needs } from '../support/needs.ts';
import { differences } from '../support/state.ts';

/* What neither root nor a rename gets past: files that chattr made immutable, folders that are mounted read-only. */

let ledger: Ledger;
const at = (path: string) => join(ledger.directory, path);

beforeAll(async () => {
  ledger = await Ledger.install();
  // The folder of the snapshots appears with the first one.
  await ledger.succeed('backup', 'create', '--name', 'first');
  mkdirSync(at('data/archive'));
  writeFileSync(at('data/archive/1999.txt'), 'closed\n');
  await ledger.sandbox.publish((folder) => {
    writeFileSync(join(folder, 'docs/news.txt'), 'news\n');
    writeFileSync(join(folder, 'scripts/tool.sh'), '#!/bin/sh\n# of the new version\n');
  });
});

afterAll(async () => {
  if (ledger && can('immutable'))
    execaSync('chattr', ['-R', '-f', '-i', ledger.directory], { reject: false });
  await ledger?.destroy();
});

/** While something is so. */
async function whileSo(
  make: readonly string[],
  undo: readonly string[],
  work: () => Promise<void>,
): Promise<void> {
  const [file = '', ...args] = make;
  execaSync(file, args);
  try {
    await work();
  } finally {
    const [program = '', ...rest] = undo;
    execaSync(program, rest);
  }
}
const immutable = async (path: string, work: () => Promise<void>) =>
  await whileSo(['chattr', '+i', at(path)], ['chattr', '-i', at(path)], work);
const readOnly = async (path: string, work: () => Promise<void>) =>
  await whileSo(
    ['sh', '-c', 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"', 'sh', at(path)],
    ['umount', at(path)],
    work,
  );

const failingAfter = async (does: () => unknown) =>
  await ledger.failing({ step: 'pull-code', operation: /^git .* update-ref/, when: 'after', does }, 'update');

describe('an update is refused before anything is stopped, when chattr made immutable', () => {
  beforeEach((context) => needs(context, 'immutable'));

  test.for<[string, string, RegExp]>([
    ['a file that the target changes', 'scripts/tool.sh', /scripts\/tool\.sh is immutable/],
    ['a folder that it adds something to', 'docs', /changes docs\/news\.txt, and docs is immutable/],
    ['a product', 'web/dist', /web\/dist is immutable/],
    ['the folder that holds a product', 'api', /\/api is immutable/],
  ])('%s', async ([, path, says], context) => {
    await immutable(path, async () => {
      expect(await attemptUpdate(ledger)).toEqual({
        exitCode: 3,
        error: expect.stringMatching(says),
        next: expect.stringMatching(/chattr -i|lsattr/),
        changed: [],
      });
      tally(context, 'unchanged');
    });
  });
});

test('immutable data are no obstacle, neither to a snapshot nor to a restore', async (context) => {
  needs(context, 'immutable');
  await immutable('data/key.pem', async () => {
    const was = await ledger.capture();

    expect(await failingAfter(() => writeFileSync(at('data/uploads/photo.bin'), 'x'))).toMatchObject({
      exitCode: 10,
    });

    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(execaSync('lsattr', ['-l', at('data/key.pem')]).stdout).toContain('Immutable');
    tally(context, 'restored');
  });
});

test('data that the update itself made immutable are named, and come back when that is taken away', async (context) => {
  needs(context, 'immutable');
  const was = await ledger.capture();
  const outcome = await failingAfter(() => {
    writeFileSync(at('data/tool'), 'of the update');
    execaSync('chattr', ['+i', at('data/tool')]);
  });
  expect(outcome).toMatchObject({
    exitCode: 11,
    result: { error: expect.stringMatching(/EPERM[^]*data\/tool/), next: expect.stringContaining('recover') },
  });
  execaSync('chattr', ['-i', at('data/tool')]);

  expect(await ledger.run('recover')).toMatchObject({ exitCode: 10 });

  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'restored');
});

describe('a read-only mount', () => {
  beforeEach((context) => needs(context, 'mount'));

  test('in code that the target changes is refused before anything is stopped', async () => {
    await readOnly('docs', async () => {
      expect(await attemptUpdate(ledger)).toEqual({
        exitCode: 3,
        error: expect.stringMatching(/changes docs\/news\.txt, and docs is a mount/),
        next: expect.stringContaining('umount'),
        changed: [],
      });
    });
  });

  test('in the data is backed up, and stays as it is through a failed update', async (context) => {
    await readOnly('data/archive', async () => {
      const was = await ledger.capture();

      expect(await failingAfter(() => writeFileSync(at('data/key.pem'), 'x'))).toMatchObject({
        exitCode: 10,
      });

      expect(differences(was, await ledger.capture())).toEqual([]);
      tally(context, 'restored');
    });
  });
});

test('after all this a good update goes through', async () => {
  expect(await ledger.run('update')).toMatchObject({ exitCode: 0, error: '' });
});
