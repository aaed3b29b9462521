import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { localRuntime } from '../../orchestrator/runtime/local.ts';
import { tally } from '../support/fault-tally.ts';
import { at, halfMade } from '../support/full-disk.ts';
import { Ledger } from '../support/ledger.ts';
import { leftOf } from '../support/left-behind.ts';
import { needs } from '../support/needs.ts';
import { replaceIn, type Edit } from '../support/releases.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { differences } from '../support/state.ts';

/* The disk is full when somebody begins: at the door, in the setup, and for an appliance that has no database. */

let disk: SmallDisk;
let ledger: Ledger | undefined;

beforeEach((context) => {
  needs(context, 'loop');
  const parent = mkdtempSync(join(tmpdir(), 'holdfast-first-'));
  disk = SmallDisk.make(parent, { megabytes: 600 });
});

afterEach(async () => {
  await ledger?.destroy();
  ledger = undefined;
  SmallDisk.removeAll();
});

afterAll(() => {
  SmallDisk.removeAll();
});

describe('setup, with room again', () => {
  test.for([
    ['the database is made', 'initdb', 4],
    ['packages are installed', 'npm', 0.5],
  ] as const)('goes on after a disk that was full when %s', async ([, program, leftMegabytes], context) => {
    // A file of SQLite is there with its first page.
    if (program === 'initdb') needs(context, 'postgresql');
    ledger = await Ledger.create({ parent: disk.mountPoint });
    let isFull = false;
    const runtime = {
      ...localRuntime,
      run: async (...[command, options]: Parameters<typeof localRuntime.run>) => {
        if (basename(command.file) === program && !isFull) {
          isFull = true;
          disk.fill(leftMegabytes * 1024 * 1024);
        }
        return await localRuntime.run(command, options);
      },
    };

    expect((await ledger.watched(() => {}, runtime, 'setup')).exitCode).not.toBe(0);
    expect(isFull).toBe(true);
    disk.makeRoom();

    expect(await ledger.run('setup')).toMatchObject({ exitCode: 0 });
    await ledger.post('it works', 1);
    expect(await ledger.notes()).toEqual(['it works']);
  });
});

/** The page alone, without database, packages and migrations. */
const withoutDatabase: Edit = (folder) =>
  writeFileSync(
    join(folder, 'appliance.yaml'),
    `version: 1
name: page
builds: { web: { dir: web, install: none, build: [node build.js], products: [dist] } }
services:
  web: { dir: web, start: node dist/server.js, port: PORT, health: { url: 'http://127.0.0.1:{port}/', stableFor: 100ms } }
database: none
data: [{ path: data }]
`,
  );

test('without a database: before the seal nothing changed, after it everything comes back', async (context) => {
  ledger = await Ledger.create({ parent: disk.mountPoint });
  const { sandbox } = ledger;
  const port = String(ledger.open().config.services['web']?.port);
  await sandbox.publish((folder) => {
    withoutDatabase(folder);
    replaceIn(folder, 'appliance.yaml', 'PORT', port);
  });
  await sandbox.git(sandbox.directory, 'pull', '--quiet');
  await ledger.succeed('setup');
  // The folder of the snapshots is there from now on.
  await ledger.succeed('backup', 'create');
  const installed = await sandbox.installedCommit();
  const was = await ledger.capture();
  await sandbox.publish(
    (folder) => {
      writeFileSync(join(folder, 'web/src/page.js'), "export const page = 'another page';\n");
      mkdirSync(join(folder, 'docs/more'));
      for (let number = 0; number < 20; number += 1)
        writeFileSync(join(folder, `docs/more/${number}`), 'x'.repeat(5000));
    },
    { onto: installed },
  );

  const steps = [
    'backup-database',
    'backup-files',
    'backup-registry',
    'build-backend',
    'restart-services',
  ] as const;
  for (const step of steps) {
    const fault = at({ step, half: 'apply' }, () => disk.fill());
    const end = await ledger.watched(fault.listen, undefined, 'update');

    expect(end).toMatchObject({ exitCode: 10, result: { outcome: 'restored', failedStep: step } });
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await halfMade(ledger)).toEqual([]);
    expect(await leftOf(ledger, String(end.result?.['run']))).toEqual([]);
    disk.makeRoom();
    tally(context, 'restored');
  }

  expect(await ledger.run('update')).toMatchObject({ exitCode: 0 });
});

test('the door: nothing half-installed is taken for whole, and the next start finds room', async () => {
  const home = join(disk.mountPoint, 'holdfast');
  const source = join(import.meta.dirname, '../..');
  const { stdout } = await execa(
    'git',
    ['ls-files', '-z', 'run.sh', '.nvmrc', 'package*.json', 'orchestrator', 'lxd'],
    {
      cwd: source,
    },
  );
  for (const path of stdout.split('\0').filter((one) => one !== '')) {
    mkdirSync(dirname(join(home, path)), { recursive: true });
    cpSync(join(source, path), join(home, path));
  }
  const start = async () => await execa(join(home, 'run.sh'), ['--version'], { reject: false, all: true });
  const made = (folder: string) =>
    existsSync(join(home, '.holdfast', folder)) ? readdirSync(join(home, '.holdfast', folder)) : [];

  for (const [leftMegabytes, says] of [
    [0, /cannot|space/i],
    [10, /npm could not download Holdfast's dependencies\. .*room on the disk/],
  ] as const) {
    disk.fill(leftMegabytes * 1024 * 1024);
    const failed = await start();

    expect(failed.exitCode).not.toBe(0);
    expect(failed.all).toMatch(says);
    expect([...made('dependencies'), ...made('runner')]).toEqual([]);
    disk.makeRoom();
  }

  expect(await start()).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
});
