import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listSnapshots, verifySnapshot } from '../../orchestrator/snapshot/store.ts';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { oddFiles, oddFilesChanged } from '../support/git-oddities.ts';
import { tidyUp } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { differences } from '../support/state.ts';
import { captureTree } from '../support/tree-state.ts';

/*
 * Checkouts of every kind, through an update that fails after its code was in place, and through one that succeeds. One
 * installation goes from kind to kind; the tests build on each other.
 */

let ledger: Ledger;
const at = (path: string) => join(ledger.directory, path);
const beside = (path: string) => join(ledger.sandbox.root, path);
const git = async (...args: string[]) => await ledger.sandbox.git(ledger.directory, ...args);

beforeAll(async () => {
  ledger = await Ledger.install();
  await ledger.sandbox.publish(oddFiles);
  mkdirSync(beside('beside'));
  writeFileSync(beside('beside/file'), "somebody else's\n");
});

afterAll(async () => {
  if (existsSync(at('appliance.yaml')) && existsSync(at('.env'))) await tidyUp(ledger);
  await ledger?.destroy();
});

/** Fails when its code is in place, and finds the remote gone from there on: no way back needs it. */
const failingOffline = async () => {
  const outcome = await ledger.failing(
    {
      ...{ step: 'pull-code', operation: /^git .* update-ref/, when: 'after' },
      does: () => renameSync(ledger.sandbox.upstream, beside('unplugged.git')),
    },
    'update',
  );
  renameSync(beside('unplugged.git'), ledger.sandbox.upstream);
  return outcome;
};

test('with line endings, encodings and filters of its own; a file mode that git ignores; names of one letter in two cases', async (context) => {
  await git('config', 'core.autocrlf', 'true');
  await git('config', 'core.fileMode', 'false');
  await git('config', 'filter.rot13.smudge', 'tr a-zA-Z n-za-mN-ZA-M');
  await git('config', 'filter.rot13.clean', 'tr a-zA-Z n-za-mN-ZA-M');
  expect(await ledger.run('update')).toMatchObject({ exitCode: 0, error: '' });
  chmodSync(at('docs/lines.txt'), 0o640);
  chmodSync(at('docs/secret.txt'), 0o755);
  await ledger.sandbox.publish(oddFilesChanged);
  const was = await ledger.capture();

  expect(await failingOffline()).toMatchObject({ exitCode: 10 });

  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'restored');
  expect(await ledger.run('update')).toMatchObject({ exitCode: 0, result: { warnings: [] } });
  expect(readFileSync(at('docs/lines.txt'), 'utf8')).toBe('new\r\nlines\r\n');
  expect(readFileSync(at('docs/wide.txt')).toString('utf16le').trimEnd()).toBe('weiter');
  expect(readFileSync(at('docs/secret.txt'), 'utf8').trimEnd()).toMatch(/^arj\r?\nyvarf$/);
  expect([readFileSync(at('docs/README'), 'utf8'), readFileSync(at('docs/readme'), 'utf8')]).toEqual([
    'large\r\n',
    'small\r\n',
  ]);
  expect(readFileSync(at('linked/file'), 'utf8')).toBe("somebody else's\n");
  expect(await git('status', '--porcelain', '--untracked-files=no')).toBe('');
  tally(context, 'completed');
});

test('back from a link to a folder, a file below which lies outside: that one is not touched', async (context) => {
  await ledger.sandbox.publish((folder) => {
    rmSync(join(folder, 'linked'));
    mkdirSync(join(folder, 'linked'));
    writeFileSync(join(folder, 'linked/file'), 'in a folder again\n');
  });
  const [was, outside] = [await ledger.capture(), await captureTree(beside('beside'))];

  expect(await failingOffline()).toMatchObject({ exitCode: 10 });

  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(differences(outside, await captureTree(beside('beside')))).toEqual([]);
  tally(context, 'restored');
});

describe('the commits that snapshots need', () => {
  test('survive a rewritten history upstream, moved tags, and git gc --prune=now', async (context) => {
    const before = await ledger.sandbox.installedCommit();
    await ledger.sandbox.publish((folder) => writeFileSync(join(folder, 'docs/more.txt'), 'x\n'), {
      tag: 'v7',
    });
    await ledger.succeed('update');
    const main = await ledger.sandbox.installedCommit();
    await ledger.sandbox.git(ledger.sandbox.vendor, 'checkout', '--quiet', '--orphan', 'anew');
    await ledger.sandbox.git(ledger.sandbox.vendor, 'commit', '--quiet', '-m', 'all new');
    await ledger.sandbox.git(ledger.sandbox.vendor, 'push', '--quiet', '--force', 'origin', 'anew:main');
    expect(await ledger.run('update')).toMatchObject({ exitCode: 3 });
    await git('update-ref', '-d', 'refs/remotes/origin/main');
    for (const tag of (await git('tag')).split('\n')) await git('tag', '-d', tag);
    await git('reflog', 'expire', '--expire=now', '--all');
    await git('gc', '--quiet', '--prune=now');

    expect(await ledger.run('rollback')).toMatchObject({ exitCode: 0, error: '' });
    expect(await ledger.sandbox.installedCommit()).toBe(before);
    expect(await ledger.run('rollback', '--undo')).toMatchObject({ exitCode: 0, error: '' });
    expect(await ledger.sandbox.installedCommit()).toBe(main);
    tally(context, 'completed', 2);
    await ledger.sandbox.git(ledger.sandbox.vendor, 'checkout', '--quiet', '--force', 'main');
    await ledger.sandbox.publish(() => {}, { onto: main });
  });

  test('a tag that the vendor has moved is taken where it is now', async () => {
    await ledger.sandbox.git(ledger.sandbox.vendor, 'tag', '--force', 'v7');
    const moved = await ledger.sandbox.publish(() => {});
    await ledger.sandbox.git(ledger.sandbox.vendor, 'tag', '--force', 'v7');
    await ledger.sandbox.git(ledger.sandbox.vendor, 'push', '--quiet', '--force', '--tags', 'origin');

    expect(await ledger.run('update', '--to', 'v7', '--dry-run')).toMatchObject({ result: { to: moved } });
  });
});

test('a detached HEAD, shallow, with blobs that are fetched when they are needed', async (context) => {
  await ledger.sandbox.git(ledger.sandbox.upstream, 'config', 'uploadpack.allowFilter', 'true');
  await ledger.sandbox.git(ledger.sandbox.upstream, 'config', 'uploadpack.allowAnySHA1InWant', 'true');
  await git('checkout', '--quiet', '--detach');
  await git('fetch', '--quiet', '--depth=1', 'origin', await ledger.sandbox.installedCommit());
  for (const [name, value] of [
    ['remote.origin.promisor', 'true'],
    ['remote.origin.partialclonefilter', 'blob:none'],
  ] as const)
    await git('config', name, value);
  const commit = await ledger.sandbox.publish((folder) =>
    writeFileSync(join(folder, 'docs/late.txt'), 'fetched late\n'),
  );
  const was = await ledger.capture();

  expect(await failingOffline()).toMatchObject({ exitCode: 10 });

  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'restored');
  expect(await ledger.run('update')).toMatchObject({ exitCode: 0, result: { to: commit } });
  expect(readFileSync(at('docs/late.txt'), 'utf8').trimEnd()).toBe('fetched late');
  expect(existsSync(at('.git/shallow'))).toBe(true);
  expect(readFileSync(at('.git/HEAD'), 'utf8').trim()).toBe(commit);
  tally(context, 'completed');
});

test('a linked worktree: killed with no appliance.yaml in place, it is recovered all the same', async (context) => {
  renameSync(at('.git'), beside('main.git'));
  await ledger.sandbox.git(beside('main.git'), 'config', 'core.bare', 'true');
  await ledger.sandbox.git(
    beside('main.git'),
    'worktree',
    'add',
    '--quiet',
    '--detach',
    '--no-checkout',
    beside('tree'),
    'HEAD',
  );
  renameSync(beside('tree/.git'), at('.git'));
  rmSync(beside('tree'), { recursive: true });
  await ledger.sandbox.git(beside('main.git'), 'worktree', 'repair', ledger.directory);
  await git('reset', '--quiet');
  expect(statSync(at('.git')).isFile()).toBe(true);
  await ledger.sandbox.publish((folder) => writeFileSync(join(folder, 'docs/later.txt'), 'x\n'));
  const was = await ledger.capture();
  const cli = Cli.start(ledger, 'update');
  await cli.reached('pull-code', 'apply', 'finished');
  await cli.kill();
  rmSync(at('appliance.yaml'));

  expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });

  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'restored');
});

test('git clean -fdx between two runs takes neither the state nor a snapshot', async (context) => {
  cpSync(ledger.directory, beside('kept'), {
    recursive: true,
    verbatimSymlinks: true,
    preserveTimestamps: true,
  });
  const port = ledger.apiPort;
  await git('clean', '-fdxq');
  expect(existsSync(at('data/key.pem'))).toBe(false);

  const snapshots = listSnapshots(at('backups'));
  expect(snapshots.length).toBeGreaterThan(2);
  for (const { folder } of snapshots) await verifySnapshot(folder);
  expect(existsSync(at('.holdfast/installed.json'))).toBe(true);
  expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200);

  for (const path of ['.env', 'data', 'api', 'web'])
    cpSync(join(beside('kept'), path), at(path), { recursive: true, verbatimSymlinks: true, force: false });
  expect(await ledger.run('update')).toMatchObject({ exitCode: 0, error: '' });
  expect(await ledger.notes()).toContain('opening');
  tally(context, 'completed');
});
