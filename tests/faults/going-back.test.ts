import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { listSnapshots } from '../../orchestrator/snapshot/store.ts';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { Ledger } from '../support/ledger.ts';
import { needs } from '../support/needs.ts';
import { release } from '../support/releases.ts';
import { differences, type State } from '../support/state.ts';
import { operations } from '../support/tested-database.ts';
import { isThorough } from '../support/thoroughness.ts';

/*
 * The moments in which a rollback is needed: after a failed update, without .env, with a migration that failed, with a
 * database that cannot be read. Two releases; each case leaves the appliance at the second.
 */

let ledger: Ledger;
let first: State;
let second: State;
/** Two snapshots of v1: both name the same packages and builds. */
let byHand: string;
let byUpdate: string;
const newest = () => listSnapshots(join(ledger.directory, 'backups'))[0]?.id ?? '';

beforeAll(async () => {
  ledger = await Ledger.install();
  await ledger.succeed('backup', 'create', '--name', 'by-hand');
  byHand = newest();
  first = await ledger.capture();
  await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
  byUpdate = newest();
  second = await ledger.capture();
});

afterAll(async () => {
  await Cli.endAll();
  await ledger?.destroy();
});

test('after an update that failed: back to the version before, and not to what was restored a minute ago', async (context) => {
  await ledger.sandbox.publish(broken.buildError);
  expect(await ledger.run('update')).toMatchObject({ exitCode: 10 });
  expect(differences(second, await ledger.capture())).toEqual([]);

  expect(await ledger.run('rollback')).toMatchObject({
    exitCode: 0,
    error: '',
    result: { snapshot: byUpdate },
  });
  expect(differences(first, await ledger.capture())).toEqual([]);
  await ledger.succeed('rollback', '--undo');
  tally(context, 'completed');
});

test.runIf(isThorough)(
  'to either of two snapshots that share their packages, one after the other',
  async (context) => {
    for (const id of [byHand, byUpdate]) {
      expect(await ledger.run('rollback', id)).toMatchObject({ exitCode: 0, error: '' });
      expect(differences(first, await ledger.capture())).toEqual([]);
      expect(await ledger.run('rollback', '--undo')).toMatchObject({ exitCode: 0, error: '' });
      expect(differences(second, await ledger.capture())).toEqual([]);
    }
    tally(context, 'completed', 2);
  },
);

describe('without .env', () => {
  const env = () => join(ledger.directory, '.env');

  test('other commands refuse; rollback brings it back, with its mode, and all that goes with it', async (context) => {
    rmSync(env());
    expect(await ledger.run('backup', 'create')).toMatchObject({
      exitCode: 2,
      error: expect.stringContaining('.env'),
    });

    const outcome = await ledger.run('rollback', byUpdate);

    expect(outcome).toMatchObject({ exitCode: 0, error: '' });
    expect(outcome.printed).toContain(`.env was gone, and is back from ${byUpdate}.`);
    expect(differences(first, await ledger.capture())).toEqual([]);
    expect(statSync(env()).mode & 0o777).toBe(0o600);
    await ledger.succeed('rollback', '--undo');
    tally(context, 'completed');
  });

  test('a rollback that fails leaves a version that runs, with .env', async (context) => {
    rmSync(env());

    const outcome = await ledger.failing(
      { step: 'restore-snapshot', operation: operations.readBack, when: 'after' },
      'rollback',
      byUpdate,
    );

    expect(outcome).toMatchObject({ exitCode: 10 });
    expect(readFileSync(env(), 'utf8')).toContain('LEDGER_SECRET');
    const now = await ledger.capture();
    // The folder that .env was taken out of knows it.
    expect(differences(second, now)).toEqual([expect.stringMatching(/^directory \.: modified/)]);
    second = now;
    tally(context, 'restored');
  });
});

test('a schema migration that failed (P3009) does not keep a rollback away', async (context) => {
  await ledger.sql(
    "insert into _prisma_migrations (id, checksum, migration_name) values ('x', 'x', '0009_failed')",
  );
  expect(await ledger.run('rollback')).toMatchObject({ exitCode: 0, error: '' });
  expect(differences(first, await ledger.capture())).toEqual([]);
  await ledger.succeed('rollback', '--undo');
  await ledger.sql("delete from _prisma_migrations where id = 'x'");
  expect(differences(second, await ledger.capture())).toEqual([]);
  tally(context, 'completed');
});

describe('with a database that cannot be read', () => {
  // The same on SQLite: faults/sqlite.
  beforeEach((context) => needs(context, 'postgresql'));

  const unreadable = async () =>
    await ledger.sql('select * from damaged').then(
      () => 'reads',
      (error: unknown) => String(error),
    );

  test('rollback refuses before anything is stopped, and says how to go on', async (context) => {
    await damageOneTable();
    expect(await unreadable()).toMatch(/invalid page|could not read/);
    const pids = await ledger.pids();

    const outcome = await ledger.run('rollback');

    expect(outcome).toMatchObject({
      exitCode: 3,
      error: expect.stringMatching(/^cannot back up what is there now: the database cannot be read/),
    });
    expect(outcome.next).toContain(`./run.sh rollback ${byUpdate} --without-safety`);
    expect(await ledger.pids()).toEqual(pids);
    tally(context, 'unchanged');
  });

  test('without safety, and failing: the very same database is back, damage and all', async (context) => {
    await ledger.post('before the attempt', 1);
    const notes = await ledger.notes();
    const [{ oid } = {}] = await ledger.sql("select oid::int from pg_database where datname = 'ledger'");

    const outcome = await ledger.failing(
      { step: 'restart-services', operation: /^start api/, when: 'after' },
      'rollback',
      '--without-safety',
    );

    expect(outcome).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
    expect(await ledger.sql("select oid::int from pg_database where datname = 'ledger'")).toEqual([{ oid }]);
    expect(await ledger.notes()).toEqual(notes);
    expect(await unreadable()).toMatch(/invalid page|could not read/);
    const [properties] = await ledger.sql(
      "select datconnlimit, shobj_description(oid, 'pg_database') as comment from pg_database where datname = 'ledger'",
    );
    expect(properties).toEqual({ datconnlimit: 40, comment: 'the books' });
    tally(context, 'restored');
  });

  test('without safety: the version before is back; the damaged one is set aside, and --undo refuses', async (context) => {
    const outcome = await ledger.run('rollback', '--without-safety');

    expect(outcome).toMatchObject({ exitCode: 0, error: '' });
    expect(outcome.result?.['warnings']).toEqual([expect.stringMatching(/ledger is NOT in the snapshot/)]);
    expect(differences(first, await ledger.capture())).toEqual([]);
    const spent = newest();
    expect(await ledger.run('rollback', spent)).toMatchObject({
      exitCode: 3,
      error: expect.stringContaining('its database could not be read when it was made'),
    });
    expect((await ledger.run('rollback', '--undo')).result?.['snapshot']).not.toBe(spent);
    tally(context, 'completed');
  });
});

/** As a disk damages one: the server is down meanwhile, or it would not notice. */
async function damageOneTable(): Promise<void> {
  await ledger.sql("create table damaged as select repeat('x', 100) from generate_series(1, 500)");
  const [{ path } = {}] = await ledger.sql("select pg_relation_filepath('damaged') as path");
  await Cli.run(ledger, 'stop', '--database');
  const file = join(ledger.open().state.postgres, 'cluster/data', String(path));
  writeFileSync(file, Buffer.alloc(statSync(file).size, 'x'));
  expect(await Cli.run(ledger, 'start')).toMatchObject({ exitCode: 0 });
}
