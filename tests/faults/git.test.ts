import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { attemptUpdate } from '../support/attempt-update.ts';
import { tally } from '../support/fault-tally.ts';
import { oddFiles, oddFilesChanged } from '../support/git-oddities.ts';
import { Ledger } from '../support/ledger.ts';
import { differences } from '../support/state.ts';

/*
 * What git can be told, and what people do to checkouts. Each is refused with the fix while everything still runs, or it
 * is right: a failed update leaves the checkout as it was.
 */

let ledger: Ledger;
let installed: string;
const at = (path: string) => join(ledger.directory, path);
const git = async (...args: string[]) => await ledger.sandbox.git(ledger.directory, ...args);

beforeAll(async () => {
  ledger = await Ledger.install();
  await ledger.sandbox.publish(oddFiles);
  await ledger.succeed('update');
  installed = await ledger.sandbox.installedCommit();
});

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).toReversed()) await one();
});
afterAll(async () => {
  await ledger?.destroy();
});

const publishNews = async () => await ledger.sandbox.publish(oddFilesChanged, { onto: installed });
const configure = async (name: string, value: string) => {
  await git('config', name, value);
  undo.push(async () => await git('config', '--unset-all', name));
};

const lock = (name: string) => {
  mkdirSync(at(`.git/${name}/..`), { recursive: true });
  writeFileSync(at(`.git/${name}`), '');
  undo.push(() => rmSync(at(`.git/${name}`), { force: true }));
};
const hide = async (flag: string, back: string) => {
  await git('update-index', flag, 'docs/lines.txt');
  const text = readFileSync(at('docs/lines.txt'));
  writeFileSync(at('docs/lines.txt'), 'known to the operator only\n');
  undo.push(async () => {
    await git('update-index', back, 'docs/lines.txt');
    writeFileSync(at('docs/lines.txt'), text);
    await git('update-index', '--refresh');
  });
};

/** An update that fails when its code is in place. */
const failing = async () =>
  await ledger.failing({ step: 'pull-code', operation: /^git .* update-ref/, when: 'after' }, 'update');

describe('is refused with the fix, and nothing is touched:', () => {
  test.for<[string, () => unknown, RegExp, RegExp]>([
    [
      'a lock of a branch',
      () => lock('refs/heads/main.lock'),
      /refs\/heads\/main\.lock/,
      /rm '.*main\.lock'/,
    ],
    ["a lock of git's own configuration", () => lock('config.lock'), /config\.lock/, /rm '.*config\.lock'/],
    [
      'a file that git is told not to look at (assume-unchanged)',
      async () => await hide('--assume-unchanged', '--no-assume-unchanged'),
      /not to look at docs\/lines\.txt/,
      /--no-assume-unchanged/,
    ],
    [
      'a file that is only here (skip-worktree)',
      async () => await hide('--skip-worktree', '--no-skip-worktree'),
      /not to look at docs\/lines\.txt/,
      /--no-skip-worktree/,
    ],
    [
      'a sparse checkout',
      async () => await configure('core.sparseCheckout', 'true'),
      /sparse/,
      /sparse-checkout disable/,
    ],
    [
      'an index that is split',
      async () => {
        await git('update-index', '--split-index');
        undo.push(async () => await git('update-index', '--no-split-index'));
      },
      /index is split/,
      /--no-split-index/,
    ],
    [
      'files in Git LFS, which is not set up',
      async () =>
        await ledger.sandbox.publish(
          (folder) => {
            writeFileSync(join(folder, '.gitattributes'), '*.mov filter=lfs diff=lfs merge=lfs -text\n');
            writeFileSync(join(folder, 'docs/film.mov'), 'version https://git-lfs.github.com/spec/v1\n');
          },
          { onto: installed },
        ),
      /docs\/film\.mov in Git LFS/,
      /git lfs install/,
    ],
    [
      'a filter that fails',
      async () => {
        await configure('filter.rot13.smudge', 'no-such-program');
      },
      /a filter that git is configured to use failed/,
      /get-regexp filter/,
    ],
    [
      'a submodule that comes',
      async () => {
        const vendor = async (...args: string[]) => await ledger.sandbox.git(ledger.sandbox.vendor, ...args);
        await ledger.sandbox.publish(() => {}, { onto: installed });
        await vendor('update-index', '--add', '--cacheinfo', `160000,${installed},lib`);
        await vendor('commit', '--quiet', '-m', 'a submodule');
        await vendor('push', '--quiet', '--force', 'origin', 'main');
      },
      /the submodule lib changes/,
      /ask the vendor/,
    ],
    [
      'a history that was rewritten upstream',
      async () => {
        const { vendor } = ledger.sandbox;
        const tree = await ledger.sandbox.git(vendor, 'write-tree');
        const root = await ledger.sandbox.git(vendor, 'commit-tree', tree, '-m', 'all new');
        await ledger.sandbox.git(vendor, 'push', '--quiet', '--force', 'origin', `${root}:main`);
      },
      /has commits that it does not descend from/,
      /log --oneline/,
    ],
    [
      'a checkout of another user',
      async () => {
        process.env['GIT_TEST_ASSUME_DIFFERENT_OWNER'] = '1';
        undo.push(() => delete process.env['GIT_TEST_ASSUME_DIFFERENT_OWNER']);
        await Promise.resolve();
      },
      /belongs to another user/,
      /safe\.directory/,
    ],
  ])('%s', async ([, make, says, next], context) => {
    await publishNews();
    await make();

    expect(await attemptUpdate(ledger)).toEqual({
      exitCode: 3,
      error: expect.stringMatching(says),
      next: expect.stringMatching(next),
      changed: [],
    });
    tally(context, 'unchanged');
  });
});

test("a lock on Holdfast's own references, which a killed fetch left, is taken away by the next command", async (context) => {
  lock('refs/holdfast/remote/heads/main.lock');

  expect(await ledger.run('recover')).toMatchObject({ exitCode: 0 });
  expect(existsSync(join(ledger.directory, '.git/refs/holdfast/remote/heads/main.lock'))).toBe(false);
  tally(context, 'unchanged');
});

/** A hook, or a program that git may be told to call, that leaves a trace. */
function spy(path: string): void {
  mkdirSync(at(`${path}/..`), { recursive: true });
  writeFileSync(at(path), `#!/bin/sh\necho "$0" >> '${join(ledger.sandbox.root, 'spied')}'\n`);
  chmodSync(at(path), 0o755);
  undo.push(() => rmSync(at(path)));
}

test('hooks, a file monitor that hides changes, replaced commits, another repository in the environment: none of it counts', async (context) => {
  const target = await publishNews();
  for (const hook of [
    'post-checkout',
    'post-index-change',
    'reference-transaction',
    'pre-commit',
    'post-merge',
  ])
    spy(`.git/hooks/${hook}`);
  spy('.git/monitor');
  await configure('core.fsmonitor', '.git/monitor');
  await configure('core.untrackedCache', 'true');
  await git('-c', 'core.hooksPath=/dev/null', 'fetch', '--quiet', 'origin');
  await git('-c', 'core.hooksPath=/dev/null', 'replace', target, installed);
  undo.push(async () => await git('-c', 'core.hooksPath=/dev/null', 'replace', '-d', target));
  const was = await ledger.capture();
  process.env['GIT_DIR'] = ledger.sandbox.upstream;
  process.env['GIT_WORK_TREE'] = ledger.sandbox.vendor;
  undo.push(() => ['GIT_DIR', 'GIT_WORK_TREE'].forEach((name) => delete process.env[name]));
  rmSync(join(ledger.sandbox.root, 'spied'), { force: true });

  const outcome = await failing();

  for (const name of ['GIT_DIR', 'GIT_WORK_TREE']) delete process.env[name];
  expect(outcome).toMatchObject({ exitCode: 10, result: { to: target } });
  expect(existsSync(join(ledger.sandbox.root, 'spied'))).toBe(false);
  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'restored');
});
