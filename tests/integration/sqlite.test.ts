import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { besideFolder } from '../../orchestrator/database/sqlite/places.ts';
import { listSnapshots } from '../../orchestrator/snapshot/store.ts';
import { Ledger } from '../support/ledger.ts';
import { differences } from '../support/state.ts';
import * as broken from '../support/broken-releases.ts';
import { release } from '../support/releases.ts';

/* The ledger with its books in a file of SQLite: updates that come through, that fail, and the way back. */

let ledger: Ledger;
let installed: string;

beforeAll(async () => {
  ledger = await Ledger.install({ sqlite: true });
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
});

afterAll(async () => {
  await ledger?.destroy();
});

const written = ['opening', 'coffee', 'rent', 'sale'];

test('a good update brings code, schema and rows, and loses nothing that lay in the write-ahead log', async () => {
  expect(statSync(`${ledger.database.file}-wal`).size).toBeGreaterThan(0);

  const outcome = await ledger.run('update');

  expect(outcome).toMatchObject({ exitCode: 0, error: '', result: { outcome: 'updated', warnings: [] } });
  expect(await ledger.answeringCommit()).toBe(installed);
  expect(await ledger.notes()).toEqual(written);
  expect(await ledger.sql('select kind_2 from entries order by id')).toEqual(
    ['in', 'out', 'out', 'in'].map((kind_2) => ({ kind_2 })),
  );
});

test('the database is a part of the snapshot by itself, and none of the files', () => {
  const { folder, manifest } = listSnapshots(ledger.open().backupsDirectory)[0] ?? {};
  expect(manifest?.database).toMatchObject({
    engine: 'sqlite',
    journalMode: 'wal',
    userVersion: 7,
    tables: expect.arrayContaining([{ name: 'entries', rows: 4 }]),
  });
  expect(readFileSync(join(folder ?? '', 'inventory.ndjson'), 'utf8')).not.toContain('ledger.db');
  expect(
    readFileSync(join(folder ?? '', 'database.dump'))
      .subarray(0, 15)
      .toString(),
  ).toBe('SQLite format 3');
});

describe('an update that fails', () => {
  // At a schema migration: sqlite-commands.test.ts; at a data migration: faults/sqlite.test.ts.
  test.for([
    ['install', broken.badLockfile],
    ['build', broken.buildError],
    ['health', broken.endsAtStart],
  ] as const)('at %s leaves everything exactly as before', async ([, edit]) => {
    await ledger.sandbox.publish(edit, { onto: installed });
    const was = await ledger.capture();

    const outcome = await ledger.run('update');

    expect(outcome).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await ledger.answeringCommit()).toBe(installed);
  });

  test('keeps what it had made beside the database until the next success', () => {
    expect(
      readdirSync(besideFolder(ledger.database.file)).filter((name) => name.startsWith('old-')),
    ).not.toEqual([]);
  });
});

test('a rollback after a good update brings back everything, and --undo takes it back', async () => {
  const was = await ledger.capture();
  await ledger.sandbox.publish(broken.good, { onto: installed });
  await ledger.succeed('update');
  await ledger.post('after the update', 5);
  const updated = await ledger.capture();

  await ledger.succeed('rollback');
  expect(differences(was, await ledger.capture())).toEqual([]);

  await ledger.succeed('rollback', '--undo');
  expect(differences(updated, await ledger.capture())).toEqual([]);
  expect(existsSync(besideFolder(ledger.database.file))).toBe(true);
});
