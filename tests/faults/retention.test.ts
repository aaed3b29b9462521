import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { markOf } from '../../orchestrator/database/swap.ts';
import type { Manifest } from '../../orchestrator/snapshot/manifest.ts';
import { listSnapshots } from '../../orchestrator/snapshot/store.ts';
import { tally } from '../support/fault-tally.ts';
import { Ledger } from '../support/ledger.ts';
import { can, needs } from '../support/needs.ts';
import { release, replaceIn } from '../support/releases.ts';
import { reseal } from '../support/sealed-snapshot.ts';
import { differences } from '../support/state.ts';
import { isThorough } from '../support/thoroughness.ts';

/* What must not be pruned, however many nights an update fails. Two are kept of those that Holdfast makes by itself. */

let ledger: Ledger;
const backups = () => join(ledger.directory, 'backups');
const ids = () => listSnapshots(backups()).map(({ id }) => id);
const newest = () => ids()[0] ?? '';
/** Made by the update from v1 to v2. */
let fromFirst: string;

beforeAll(async () => {
  ledger = await Ledger.create();
  await ledger.sandbox.publish((folder) => replaceIn(folder, 'appliance.yaml', 'keep: 5', 'keep: 2'));
  await ledger.sandbox.git(ledger.directory, 'pull', '--quiet');
  await ledger.succeed('setup');
  await ledger.post('opening', 100);
  await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
  fromFirst = newest();
  await ledger.sandbox.publish(release(3), { tag: 'v3' });
});

afterAll(async () => {
  await ledger?.destroy();
});

/** Updates that fail right after their snapshot is sealed. Returns the ids of their snapshots. */
async function failNightly(times: number): Promise<string[]> {
  const made: string[] = [];
  for (let night = 0; night < times; night += 1) {
    const outcome = await ledger.failing(
      { step: 'pull-code', operation: /^git .*update-ref/, when: 'before' },
      'update',
      '--to',
      'main',
    );
    expect(outcome).toMatchObject({ exitCode: 10 });
    made.push(newest());
  }
  return made;
}

test('updates that fail night after night push out each other, and not the one that rollback would take', async (context) => {
  const failed = await failNightly(3);

  expect(ids()).toEqual([failed[2], fromFirst]);
  tally(context, 'restored', 3);
});

test.runIf(isThorough)(
  'what a rollback set aside stays for --undo, however many updates fail after it',
  async (context) => {
    const second = await ledger.capture();
    await ledger.succeed('rollback');
    const aside = newest();
    await failNightly(3);

    expect(ids()).toContain(aside);
    expect(await ledger.run('rollback', '--undo')).toMatchObject({ exitCode: 0, error: '' });
    expect(differences(second, await ledger.capture())).toEqual([]);
    tally(context, 'restored', 3);
  },
);

test('a snapshot whose packages are gone is spent: rollback does not take it, and says what can be done', async (context) => {
  const manifest = listSnapshots(backups()).find(({ id }) => id === fromFirst)?.manifest;
  const { key = '' } = manifest?.products[0] ?? {};
  const stored = join(ledger.open().state.products, key);
  renameSync(stored, join(ledger.sandbox.root, 'hidden'));
  const was = await ledger.capture();

  const refused = await ledger.run('rollback');
  renameSync(join(ledger.sandbox.root, 'hidden'), stored);

  expect(refused).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(
      new RegExp(`${fromFirst}, is spent: api/node_modules of that version is not kept`),
    ),
  });
  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'unchanged');
});

describe('a database that is suddenly empty', () => {
  let rows: Record<string, unknown>[];
  let good: string;

  test('is told, and its dumps do not push out the last one with rows', async (context) => {
    await ledger.succeed('backup', 'create', '--scheduled');
    good = newest();
    rows = await ledger.sql('select * from entries order by id');
    const more = can('postgresql') ? [] : ['log'];
    for (const table of ['entries', 'accounts', ...more]) await ledger.sql(`delete from ${table}`);
    for (let night = 0; night < 2; night += 1) {
      const outcome = await ledger.run('backup', 'create', '--scheduled');
      expect(outcome).toMatchObject({ exitCode: 0 });
      expect(outcome.result?.['warnings']).toEqual([
        expect.stringMatching(
          new RegExp(`^THE DATABASE .*ledger\\S* HAS NO ROWS. The snapshot ${good} held \\d+ rows`),
        ),
      ]);
    }
    expect(ids()).toContain(good);
    expect(ids()).toContain(fromFirst);
    tally(context, 'unchanged');
  });

  test('and comes back from that one', async () => {
    expect(await ledger.run('rollback', good)).toMatchObject({ exitCode: 0, error: '' });
    expect(await ledger.sql('select * from entries order by id')).toEqual(rows);
  });
});

describe('databases that an interrupted restore found under the live name', () => {
  beforeEach((context) => needs(context, 'postgresql'));

  const unknown = async () =>
    (await ledger.sql("select datname from pg_database where datname like 'hf\\_unknown%' order by 1")).map(
      ({ datname }) => datname,
    );
  const make = async (name: string, of: string) => {
    const mark = markOf(of, '20260101-000000');
    await ledger.sql(`create database ${name}`);
    await ledger.sql(`comment on database ${name} is 'holdfast:old:${mark}:${of}'`);
    return (await ledger.sql(`select oid::int from pg_database where datname = '${name}'`))[0]?.['oid'];
  };

  test("are collected when nothing names them; another appliance's and one that a snapshot names are not", async () => {
    await make('hf_unknown_1', 'ledger');
    await make('hf_unknown_2', 'another');
    const oid = Number(await make('hf_unknown_3', 'ledger'));
    const folder = join(backups(), newest());
    const path = join(folder, 'manifest.json');
    const before = readFileSync(path, 'utf8');
    const { database, ...rest } = JSON.parse(before) as Manifest;
    writeFileSync(path, JSON.stringify({ ...rest, database: { ...database, oid } }));
    reseal(folder);

    await ledger.succeed('backup', 'prune');
    expect(await unknown()).toEqual(['hf_unknown_2', 'hf_unknown_3']);

    writeFileSync(path, before);
    reseal(folder);
    await ledger.succeed('backup', 'prune');
    expect(await unknown()).toEqual(['hf_unknown_2']);
    await ledger.sql('drop database hf_unknown_2');
  });
});

test('prune says what takes room though it removes nothing, and --failed frees it', async () => {
  await failNightly(1);
  await ledger.succeed('backup', 'create', '--name', 'by-hand');
  const { state } = ledger.open();
  const last = state.runIds().at(-1) ?? '';
  const left = join(state.run(last), 'failed');
  await ledger.succeed('backup', 'prune');
  mkdirSync(left, { recursive: true });
  writeFileSync(join(left, 'big'), Buffer.alloc(5_000_000));

  const said = await ledger.run('backup', 'prune');
  expect(said).toMatchObject({ exitCode: 0, result: { removed: [], freedBytes: 0 } });
  expect(said.text).toContain('Nothing to remove.');
  expect(said.text).toMatch(
    new RegExp(`What the run ${last} set aside takes 5.0 MB: ./run.sh backup prune --failed`),
  );
  expect(said.text).toMatch(/\(made by hand\) takes .*: rm -r /);

  expect(await ledger.run('backup', 'prune', '--failed', '--dry-run')).toMatchObject({
    result: { freedBytes: 5_000_000 },
  });
  expect(readdirSync(left)).toEqual(['big']);
  expect(await ledger.run('backup', 'prune', '--failed')).toMatchObject({
    result: { freedBytes: 5_000_000 },
  });
  expect(() => readdirSync(left)).toThrow('ENOENT');
  rmSync(left, { recursive: true, force: true });
});
