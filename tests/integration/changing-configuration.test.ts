import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cli } from '../support/cli.ts';
import { Ledger } from '../support/ledger.ts';
import { replaceIn, type Edit } from '../support/releases.ts';
import { differences } from '../support/state.ts';

/*
 * Releases that change appliance.yaml: services, products, what is backed up, the name. The way back knows the old
 * configuration, the new one, and what is on the disk.
 */

let ledger: Ledger;
let installed: string;

beforeAll(async () => {
  ledger = await Ledger.install();
  await ledger.succeed('backup', 'create', '--name', 'first');
  installed = (await ledger.sandbox.git(ledger.directory, 'rev-parse', 'HEAD')).trim();
});

afterAll(async () => {
  await ledger?.destroy();
});

const inConfiguration =
  (from: string, to: string): Edit =>
  (folder) =>
    replaceIn(folder, 'appliance.yaml', from, to);

const publish = async (...edits: Edit[]) =>
  await ledger.sandbox.publish((folder) => edits.forEach((edit) => edit(folder)), { onto: installed });

describe('a release that fails', () => {
  test('takes a service that it brought with it: nothing of it runs, or answers, afterwards', async () => {
    const port = ledger.apiPort + 2;
    const brought = `services:\n  extra:\n    dir: web\n    start: node dist/server.js\n    port: ${port}\n    gate: none\n`;
    await publish(inConfiguration('services:\n', brought), (folder) =>
      replaceIn(folder, 'appliance.yaml', 'pointer: /commit', 'pointer: /nothing'),
    );
    const was = await ledger.capture();

    expect(await ledger.run('update')).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });

    expect(differences(was, await ledger.capture())).toEqual([]);
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow('fetch failed');
  });

  test('and was killed with no appliance.yaml in place is recovered all the same', async () => {
    await publish((folder) => writeFileSync(join(folder, 'NEWS'), 'news\n'));
    const was = await ledger.capture();
    const cli = Cli.start(ledger, 'update');
    await cli.reached('pull-code', 'apply', 'finished');
    await cli.kill();
    rmSync(join(ledger.directory, 'appliance.yaml'));

    expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });

    expect(differences(was, await ledger.capture())).toEqual([]);
  });
});

describe('a release is refused', () => {
  test.each([
    ['without an appliance.yaml', (folder: string) => rmSync(join(folder, 'appliance.yaml'))],
    ['with another state directory', inConfiguration('version: 1', 'version: 1\nstateDirectory: .elsewhere')],
    ['with another folder for the backups', inConfiguration('keep: 5', "keep: 5, directory: 'elsewhere'")],
    ['with another kind of database', inConfiguration('{ embedded: true }', '{ url: LEDGER_URL }')],
    ['that reads an env file that is not here', inConfiguration('files: [.env]', 'files: [.env, .more]')],
  ])('%s, and nothing is stopped', async (_what, edit) => {
    await publish(edit);
    const [was, pids] = [await ledger.capture(), await ledger.pids()];

    expect(await ledger.run('update')).toMatchObject({ exitCode: 3 });

    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await ledger.pids()).toEqual(pids);
  });
});

describe('across a change of name, products and excludes', () => {
  test('rollback and undo bring back both, and lose nothing that only one of them covers', async () => {
    await ledger.post('before', 1);
    await publish(
      inConfiguration('name: ledger', 'name: renamed'),
      inConfiguration("exclude: ['cache/**']", "exclude: ['cache/**', 'films/**']"),
      inConfiguration('products: [dist]', 'products: [out]'),
      (folder) => replaceIn(folder, 'web/build.js', "'dist", "'out"),
      (folder) =>
        replaceIn(
          folder,
          'appliance.yaml',
          'dir: web\n    start: node dist',
          'dir: web\n    start: node out',
        ),
    );
    await ledger.succeed('update');
    expect(await ledger.notes()).toContain('before');
    const film = join(ledger.directory, 'data/films/film');
    mkdirSync(join(film, '..'), { recursive: true });
    writeFileSync(film, 'the only copy');
    await ledger.post('after', 1);

    expect(await ledger.run('rollback')).toMatchObject({ exitCode: 0, error: '' });
    expect(await ledger.notes()).not.toContain('after');
    expect(existsSync(film)).toBe(true);

    expect(await ledger.run('rollback', '--undo')).toMatchObject({ exitCode: 0, error: '' });
    expect(await ledger.notes()).toContain('after');
    expect(existsSync(film)).toBe(true);
    expect(await Cli.run(ledger, 'restart')).toMatchObject({ exitCode: 0 });
    expect(await ledger.notes()).toContain('after');
  });
});

test('a release that would live in containers does not take an appliance of this machine there', async () => {
  const at = ledger.apiPort;
  await ledger.sandbox.publish(inConfiguration('version: 1\n', 'version: 1\nruntime: lxd\n'), {
    onto: await ledger.sandbox.installedCommit(),
  });
  // Set up before machines remembered it.
  rmSync(join(ledger.directory, '.holdfast/box.json'));
  expect(await ledger.run('update')).toMatchObject({
    exitCode: 3,
    error: expect.stringContaining('changes runtime from "local" to "lxd"') as string,
    next: expect.stringContaining('./run.sh setup --runtime local') as string,
  });

  await ledger.succeed('setup', '--runtime', 'local');
  await ledger.succeed('update');

  expect(ledger.apiPort).toBe(at);
  expect(ledger.open().runtime.name).toBe('local');
  expect(await ledger.answeringCommit()).toBe(await ledger.sandbox.installedCommit());
});
