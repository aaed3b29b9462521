import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { waitingMark } from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { leftOf, tidyUp, unfinishedRun, untilWaiting } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { dataMigration, replaceIn, type Edit } from '../support/releases.ts';
import { differences } from '../support/state.ts';

/* Hooks of runs that are no plain update: of a backup, of a rollback, of data migrations that come after the commit. */

let ledger: Ledger;
/** Snapshot of v1.2, made by the update to v1.3. */
let before13: string;

const hook = (folder: string, path: string, body: string) => {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
};

/** One of the operator's own, which git does not know. */
const own = (path: string, body: string) => hook(ledger.directory, path, body);
const removeOwn = (path: string) => rmSync(join(ledger.directory, path), { force: true });

/** Each tells beside the checkout that it ran, of which version it is, and what it knew. */
const tells = (version: string) =>
  `echo "$HOLDFAST_KIND $HOLDFAST_WHEN $HOLDFAST_STEP ${version} \${HOLDFAST_SNAPSHOT:+sealed}" >> ../told`;

/** Tells how many rows there are, as its own environment reaches them. */
const counts = `cd api && "$HOLDFAST_NODE" --input-type=module -e "
import pg from 'pg';
const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
const { rows } = await client.query('select count(*)::int as n from entries');
await client.end();
console.log(process.env.HOLDFAST_WHEN + ' ' + process.env.HOLDFAST_STEP + ' rows: ' + rows[0].n);
" >> ../../told`;

const told = () => {
  const file = join(ledger.sandbox.root, 'told');
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
  rmSync(file, { force: true });
  return lines;
};

const steps = [
  ...['preflight', 'stop-services', 'backup-database', 'backup-files', 'backup-registry', 'pull-code'],
  ...['migrate-data', 'restore-snapshot', 'restart-services', 'verify', 'commit', 'data-migration'],
];
const release =
  (version: string, dir: string, more: Edit = () => {}): Edit =>
  (folder) => {
    for (const step of steps)
      for (const when of ['before', 'after'])
        hook(folder, `${dir}/${when}-${step}.d/10-tell`, tells(version));
    more(folder);
  };

beforeAll(async () => {
  ledger = await Ledger.install();
  await ledger.sandbox.publish(release('v1.2', 'hooks'), { tag: 'v1.2.0' });
  await ledger.succeed('update');
});

beforeEach(() => {
  told();
});

afterEach(async () => {
  await tidyUp(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
});

describe('a backup', () => {
  test('calls those of its five steps, and none once the services run again', async () => {
    own('hooks/after-stop-services.d/50-rows', counts);
    const outcome = await ledger.run('backup', 'create');
    removeOwn('hooks/after-stop-services.d/50-rows');
    expect(outcome).toMatchObject({ exitCode: 0, result: { outcome: 'backed-up', warnings: [] } });
    expect(told()).toEqual([
      'backup before preflight v1.2 ',
      'backup after preflight v1.2 ',
      'backup before stop-services v1.2 ',
      'backup after stop-services v1.2 ',
      'after stop-services rows: 4',
      'backup before backup-database v1.2 ',
      'backup after backup-database v1.2 ',
      'backup before backup-files v1.2 ',
      'backup after backup-files v1.2 ',
      'backup before backup-registry v1.2 ',
      'backup after backup-registry v1.2 sealed',
    ]);
  });

  test('that a hook refuses stopped nothing; one that a hook breaks leaves the services running and no snapshot', async () => {
    const pids = await ledger.pids();
    const count = snapshots().length;
    own('hooks/before-preflight.d/50-no', 'echo not during the audit >&2; exit 1');
    expect(await ledger.run('backup', 'create')).toMatchObject({
      exitCode: 3,
      error: 'hook hooks/before-preflight.d/50-no failed (exit 1): not during the audit',
    });
    removeOwn('hooks/before-preflight.d/50-no');
    expect(await ledger.pids()).toEqual(pids);
    own('hooks/before-backup-files.d/50-no', 'exit 1');
    const was = await ledger.capture();
    const outcome = await ledger.run('backup', 'create');
    expect(outcome).toMatchObject({
      exitCode: 10,
      result: { outcome: 'restored', failedStep: 'backup-files' },
    });
    expect(snapshots()).toHaveLength(count);
    expect(differences(was, await ledger.capture())).toEqual([]);
    removeOwn('hooks/before-backup-files.d/50-no');
  });

  test('whose snapshot is sealed stands, whatever a hook says then', async () => {
    own('hooks/after-backup-registry.d/50-no', 'exit 1');
    const outcome = await ledger.run('backup', 'create', '--name', 'stands');
    removeOwn('hooks/after-backup-registry.d/50-no');
    expect(outcome).toMatchObject({
      exitCode: 0,
      result: { warnings: ['hook hooks/after-backup-registry.d/50-no failed (exit 1)'] },
    });
    expect(await ledger.run('backup', 'verify', 'stands')).toMatchObject({ exitCode: 0 });
  });

  test('killed in a hook with everything stopped: recover starts it again, and ends the hook', async () => {
    own('hooks/after-backup-database.d/50-waits', `setsid sleep 300 & touch ../${waitingMark}; sleep 300`);
    const was = await ledger.capture();
    const cli = Cli.start(ledger, 'backup', 'create');
    await untilWaiting(ledger, cli);
    const { run } = unfinishedRun(ledger);
    await cli.kill();
    expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10 });
    expect(await leftOf(ledger, run)).toEqual([]);
    expect(differences(was, await ledger.capture())).toEqual([]);
    removeOwn('hooks/after-backup-database.d/50-waits');
  });
});

const snapshots = () =>
  ledger
    .open()
    .state.runIds()
    .filter((id) => existsSync(join(ledger.open().backupsDirectory, id)));

describe('data migrations with onFailure: warn', () => {
  const next: Edit = (folder) => {
    rmSync(join(folder, 'hooks'), { recursive: true });
    replaceIn(
      folder,
      'appliance.yaml',
      'api/data-migrations',
      'api/data-migrations, when: after-start, onFailure: warn',
    );
    replaceIn(folder, 'appliance.yaml', 'backups: {', 'hooks: { dir: ops }\nbackups: {');
    release('v1.3', 'ops')(folder);
    dataMigration(folder, '002_more', `await client.query("insert into accounts values ('more', 1)");`);
    dataMigration(folder, '003_most', `await client.query("insert into accounts values ('most', 1)");`);
  };
  const opened = async () =>
    (await ledger.sql('select name from accounts where opened = 1 order by name')).map(({ name }) => name);

  test('a hook before one of them that fails is a warning: it and the next are not run, and the version serves', async () => {
    await ledger.sandbox.publish(next, { tag: 'v1.3.0' });
    own(
      'ops/before-data-migration.d/50-no',
      'test "$HOLDFAST_MIGRATION" != 003_most || { echo mail is down >&2; exit 1; }',
    );
    own('ops/after-commit.d/50-rows', counts);
    const outcome = await ledger.run('update');
    before13 = String(outcome.result?.['run']);
    expect(outcome).toMatchObject({ exitCode: 0, result: { outcome: 'updated' } });
    expect(outcome.result?.['warnings']).toEqual([
      expect.stringMatching(
        /^hook ops\/before-data-migration\.d\/50-no failed \(exit 1\): mail is down\n.*serves all the same\. Next: \.\/run\.sh data run$/,
      ),
    ]);
    expect(await opened()).toEqual(['more']);
    const lines = told();
    expect(lines.slice(lines.indexOf('update before commit v1.3 sealed'))).toEqual([
      'update before commit v1.3 sealed',
      'update after commit v1.3 sealed',
      'after commit rows: 4',
      'update before migrate-data v1.3 sealed',
      'update before data-migration v1.3 sealed',
      'update after data-migration v1.3 sealed',
      'update before data-migration v1.3 sealed',
    ]);
    // What is told to be typed calls no hooks: not even the one that failed.
    expect(await ledger.run('data', 'run')).toMatchObject({ exitCode: 0 });
    expect(await opened()).toEqual(['more', 'most']);
    expect(told()).toEqual([]);
    removeOwn('ops/before-data-migration.d/50-no');
    removeOwn('ops/after-commit.d/50-rows');
  });
});

describe('a rollback', () => {
  test('that a hook breaks brings back everything as it was; one that fails after its step only warns', async () => {
    for (const path of ['ops/before-restore-snapshot.d/50-no', 'ops/after-stop-services.d/50-no'])
      own(path, 'exit 1');
    const was = await ledger.capture();
    expect(await ledger.run('rollback', before13)).toMatchObject({
      exitCode: 10,
      error: 'hook ops/before-restore-snapshot.d/50-no failed (exit 1)',
      result: {
        ...{ outcome: 'restored', failedStep: 'restore-snapshot' },
        warnings: ['hook ops/after-stop-services.d/50-no failed (exit 1)'],
      },
    });
    expect(differences(was, await ledger.capture())).toEqual([]);
    for (const path of ['ops/before-restore-snapshot.d/50-no', 'ops/after-stop-services.d/50-no'])
      removeOwn(path);
  });

  test('calls those of the version that is there, and from then on those of the one that came back', async () => {
    await ledger.post('later', 5);
    own('ops/before-restore-snapshot.d/50-rows', counts);
    own('ops/before-verify.d/50-rows', counts);
    own('hooks/before-verify.d/50-rows', counts);
    const outcome = await ledger.run('rollback', before13);
    expect(outcome).toMatchObject({ exitCode: 0 });
    expect(told()).toEqual([
      'rollback before preflight v1.3 ',
      'rollback after preflight v1.3 ',
      'rollback before stop-services v1.3 ',
      'rollback after stop-services v1.3 ',
      'rollback before backup-database v1.3 ',
      'rollback after backup-database v1.3 ',
      'rollback before backup-files v1.3 ',
      'rollback after backup-files v1.3 ',
      'rollback before backup-registry v1.3 ',
      'rollback after backup-registry v1.3 sealed',
      'rollback before restore-snapshot v1.3 sealed',
      'before restore-snapshot rows: 5',
      'rollback after restore-snapshot v1.2 sealed',
      'rollback before restart-services v1.2 sealed',
      'rollback after restart-services v1.2 sealed',
      'rollback before verify v1.2 sealed',
      'rollback after verify v1.2 sealed',
      'rollback before commit v1.2 sealed',
      'rollback after commit v1.2 sealed',
    ]);
    // The operator's own that is younger than the snapshot went with everything that is.
    expect(existsSync(join(ledger.directory, 'hooks/before-verify.d/50-rows'))).toBe(false);
    await ledger.succeed('rollback', '--undo');
    expect(existsSync(join(ledger.directory, 'ops/before-verify.d/50-rows'))).toBe(true);
  });
});
