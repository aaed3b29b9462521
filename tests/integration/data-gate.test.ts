import { appendFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { tidyUp } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { dataMigration, release, replaceIn, schemaMigration, type Edit } from '../support/releases.ts';
import { differences } from '../support/state.ts';
import { oneIn, isThorough } from '../support/thoroughness.ts';

/* A schema migration that destroys what a data migration still reads waits for it: refused before anything is stopped. */

const id = '003_copy_notes';
const drop = '0009_drop_notes';
const path = `api/data-migrations/${id}.ts`;
let ledger: Ledger;
let installed: string;

const declared =
  (introducedIn = ''): Edit =>
  (folder) => {
    dataMigration(folder, id, "await client.query('select 1');");
    // In a comment for TypeScript it would not count; here it is a value.
    appendFileSync(
      join(folder, path),
      `export const about = { requiredBefore: '${drop}'${introducedIn} };\n`,
    );
  };
const contracts =
  (introducedIn = ''): Edit =>
  (folder) => {
    declared(introducedIn)(folder);
    schemaMigration(folder, drop, 'alter table accounts add column if not exists contracted integer;');
  };

/** The engine's table, as its store makes it, with one row. */
async function table(state: string, exported = 'null'): Promise<void> {
  await ledger.sql(`create schema if not exists holdfast;
    create table if not exists holdfast.data_migrations (id text primary key, state text not null, exported_at timestamptz);
    delete from holdfast.data_migrations;
    insert into holdfast.data_migrations values ('${id}', '${state}', ${exported}), ('001_open_accounts', 'COMPLETED', null),
      ('002_release', 'COMPLETED', null);`);
}

beforeAll(async () => {
  ledger = await Ledger.install();
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
});

afterEach(async () => {
  await ledger.sql('drop schema if exists holdfast cascade');
  rmSync(join(ledger.directory, path), { force: true });
  await tidyUp(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
});

async function refused(): Promise<string | undefined> {
  const was = await ledger.capture();
  const pids = await ledger.pids();
  const { exitCode, error, result } = await ledger.run('update');
  expect({ exitCode, outcome: result?.['outcome'], failedStep: result?.['failedStep'] }).toEqual({
    exitCode: 3,
    outcome: 'refused',
    failedStep: 'preflight',
  });
  expect(error).toContain(`its schema migration ${drop} must not run before the data migration ${id}`);
  expect(await ledger.pids()).toEqual(pids);
  expect(differences(was, await ledger.capture())).toEqual([]);
  return String(result?.['next']);
}

describe('an update whose schema migration needs a data migration first is refused,', () => {
  test('with the release that brings it, where there is one on the way', async () => {
    const brings = await ledger.sandbox.publish(declared(", introducedIn: '2.5.0'"), {
      onto: installed,
      tag: 'v2.5.0',
    });
    await ledger.sandbox.publish(contracts(", introducedIn: '2.5.0'"), { onto: brings });
    expect(await refused()).toMatch(/^\.\/run\.sh update --to v2\.5\.0, which has it/);
    expect(await ledger.run('update', '--dry-run')).toMatchObject({
      exitCode: 0,
      result: { blocked: [{ id, requiredBefore: drop, state: 'PENDING' }] },
      text: expect.stringMatching(/An update would be refused: its schema migration 0009_drop_notes/),
    });
  });

  test('or with the words for the vendor', async () => {
    await ledger.sandbox.publish(contracts(", introducedIn: '7.7'"), { onto: installed });
    expect(await refused()).toMatch(/ask the vendor for a release that has 003_copy_notes \(7\.7\)/);
  });

  test('or with the command that runs it, where its file is installed', async () => {
    await ledger.sandbox.publish(contracts(), { onto: installed });
    declared()(ledger.directory);
    await table('PENDING');
    expect(await refused()).toMatch(/^\.\/run\.sh data run 003_copy_notes/);
    await table('FAILED');
    expect(await refused()).toMatch(/^\.\/run\.sh data retry 003_copy_notes/);
  });

  test.for([
    [`'${drop}'`, `['${drop}']`, `the data migration ${id} (${path}, line `],
    [`'${drop}'`, "'0009_drop_note'", `which no schema migration is called; ${drop} is`],
  ] as const)('also where it says so in words that are none: %s', async ([right, wrong, told]) => {
    await ledger.sandbox.publish(
      (folder) => {
        contracts()(folder);
        replaceIn(folder, path, right, wrong);
      },
      { onto: installed },
    );
    const { exitCode, error } = await ledger.run('update');
    expect(error).toContain(told);
    expect(exitCode).toBe(3);
  });

  test('also where the operator took its line out of the registry', async () => {
    await ledger.sandbox.publish(contracts(), { onto: installed });
    await table('COMPLETED', 'now()');
    expect(await refused()).toMatch(/^ask the vendor/);
  });
});

test('but a backup is not, where the installed version itself has such a schema migration', async () => {
  const { sandbox, directory } = ledger;
  // What runs is still the former commit, and a backup would start that again.
  await ledger.succeed('stop');
  // Nothing newer is published, whatever the tests before this one did.
  await sandbox.git(sandbox.vendor, 'push', '--quiet', '--force', 'origin', `${installed}:main`);
  contracts()(directory);
  replaceIn(directory, 'appliance.yaml', 'deploy: node migrate.js', 'deploy: holdfast');
  await sandbox.git(directory, 'add', '--all', 'api', 'appliance.yaml');
  await sandbox.git(directory, 'commit', '--quiet', '--message', 'by hand');
  try {
    expect(await ledger.run('update')).toMatchObject({ exitCode: 3, result: { failedStep: 'preflight' } });
    expect(await ledger.run('backup', 'create')).toMatchObject({ exitCode: 0 });
  } finally {
    await sandbox.git(directory, 'reset', '--quiet', '--hard', installed);
    await ledger.succeed('start');
  }
});

test.each(oneIn(3, ['COMPLETED', 'NOT_NEEDED', 'SKIPPED']))(
  'an update goes through where it is %s in the table',
  async (state) => {
    await ledger.sandbox.publish(contracts(), { onto: installed });
    await table(state);
    expect(await ledger.run('update')).toMatchObject({ exitCode: 0 });
    await ledger.succeed('rollback');
    expect(await ledger.sandbox.installedCommit()).toBe(installed);
  },
);

test.runIf(isThorough)('and where the schema migration was applied by hand', async () => {
  await ledger.sandbox.publish(contracts(), { onto: installed });
  await table('PENDING');
  await ledger.sql(`insert into _prisma_migrations (id, checksum, migration_name, finished_at)
    values ('by hand', '', '${drop}', now())`);
  expect(await ledger.run('update')).toMatchObject({ exitCode: 0 });
  await ledger.succeed('rollback');
  await ledger.sql("delete from _prisma_migrations where id = 'by hand'");
});

test('and where the registry has it, without a table; and where the schema migration is applied already', async () => {
  const brings = await ledger.sandbox.publish(declared(), { onto: installed, tag: 'brings' });
  await ledger.succeed('update');
  const contracted = await ledger.sandbox.publish(contracts(), { onto: brings });
  await ledger.succeed('update');
  // A command of the vendor's own may keep its books elsewhere.
  await ledger.sql(`delete from _prisma_migrations where migration_name = '${drop}'`);
  await ledger.sandbox.publish(release(4), { onto: contracted });
  await table('PENDING');
  expect(await ledger.run('update')).toMatchObject({ exitCode: 0 });
});
