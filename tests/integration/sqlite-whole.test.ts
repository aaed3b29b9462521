import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { DatabaseFacts } from '../../orchestrator/database/database-facts.ts';
import { listSnapshots } from '../../orchestrator/snapshot/store.ts';
import { waitingMark } from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { leftOf, tidyUp, unfinishedRun, untilWaiting } from '../support/left-behind.ts';
import type { Ledger } from '../support/ledger.ts';
import { installPrismaLedger } from '../support/prisma-ledger.ts';
import { bringEngine, dataFolder, engineMigration, generateClient } from '../support/real-data-engine.ts';
import { replaceIn, schemaMigration, type Edit } from '../support/releases.ts';
import { differences } from '../support/state.ts';

/*
 * An appliance on SQLite as a vendor has it: Prisma applies its schema migrations, the reference appliance's own engine
 * its data migrations. Both halves write into one file, and the engine keeps its records there.
 */

let ledger: Ledger;
let installed: string;

beforeAll(async () => {
  ({ ledger } = await installPrismaLedger({ sqlite: true }));
});

afterEach(async () => await tidyUp(ledger));

afterAll(async () => await ledger?.destroy());

/** Opens accounts, adds their city, and fills that row by row through the generated client. */
const cities: Edit = (folder) => {
  bringEngine(folder);
  replaceIn(folder, 'api/prisma/schema.prisma', '  opened Int\n', '  opened Int\n  city   String?\n');
  generateClient(folder);
  schemaMigration(folder, '20261120100000_city', 'ALTER TABLE "accounts" ADD COLUMN "city" TEXT;\n');
  engineMigration(
    folder,
    '001_open_accounts',
    `  async up(prisma) {
    for (const name of ['cash', 'bank'])
      await prisma.accounts.upsert({ where: { name }, create: { name, opened: 0 }, update: {} });
    return { recordsProcessed: 2 };
  },`,
  );
  engineMigration(
    folder,
    '002_cities',
    `  async up(prisma, { batch }) { return await batch({ model: 'accounts', up: async () => ({ city: 'Bern' }) }); },
  async down(prisma) { await prisma.accounts.updateMany({ data: { city: null } }); },`,
  );
};

/** A table more, and a data migration that comes to \`atThird\` when rows of it are committed already. */
const audits =
  (atThird: string): Edit =>
  (folder) => {
    schemaMigration(
      folder,
      '20261121100000_audits',
      'CREATE TABLE "audits" ("entry" INTEGER NOT NULL PRIMARY KEY);\n',
    );
    engineMigration(
      folder,
      '003_audit',
      `  async up(prisma, { batch }) {
    let seen = 0;
    return await batch({
      table: 'entries', size: 1,
      up: async ({ id, amount }, tx) => {
        seen += 1;
        if (seen === 3) { ${atThird} }
        await tx.$executeRaw\`INSERT INTO audits VALUES (\${id})\`;
        return { amount: Number(amount) * 100 };
      },
    });
  },
  async down(prisma) { await prisma.$executeRaw\`UPDATE entries SET amount = amount / 100\`; },`,
    );
  };

const fails = audits('throw new Error(`entry ${id} cannot be migrated`);');
const waits = audits(`
          const { writeFileSync } = await import('node:fs');
          writeFileSync(new URL('../../../../${waitingMark}', import.meta.url), '');
          await new Promise((resolve) => setTimeout(resolve, 300_000));`);

const newest = () => listSnapshots(ledger.open().backupsDirectory)[0];
/** The database, and what lies beside it; not our own folder, which keeps what failed until the next success. */
const beside = () =>
  readdirSync(join(ledger.directory, 'data')).filter((name) => name.startsWith('ledger.db'));
const registry = () =>
  (
    JSON.parse(readFileSync(join(ledger.directory, dataFolder, 'registry.json'), 'utf8')) as {
      migrations: { id: string; status: string }[];
    }
  ).migrations.map(({ id, status }) => `${id} ${status}`);
const states = async () =>
  (await ledger.sql('select id, state from holdfast_data_migrations order by id')).map(
    ({ id, state }) => `${String(id)} ${String(state)}`,
  );
const amounts = async () =>
  (await ledger.sql('select amount from entries order by id')).map(({ amount }) => amount);

test('an update brings a schema and a data migration, each recorded by its own engine', async () => {
  installed = await ledger.sandbox.publish(cities, { tag: 'cities' });

  expect(await ledger.run('update')).toMatchObject({
    ...{ exitCode: 0, error: '' },
    result: { outcome: 'updated', warnings: [] },
  });
  expect(await ledger.answeringCommit()).toBe(installed);
  expect(await ledger.sql('select name, city from accounts order by name')).toEqual([
    { name: 'bank', city: 'Bern' },
    { name: 'cash', city: 'Bern' },
  ]);
  expect(await states()).toEqual(['001_open_accounts COMPLETED', '002_cities COMPLETED']);
  expect(registry()).toEqual(['001_open_accounts success', '002_cities success']);
  expect(
    await ledger.sql('select migration_name as name from _prisma_migrations order by started_at'),
  ).toEqual([{ name: '0001_entries' }, { name: '20261120100000_city' }]);
});

describe('a release whose data migration fails with rows committed already', () => {
  test('leaves rows, records and registry as before, and nothing beside the file', async () => {
    await ledger.sandbox.publish(fails, { onto: installed });
    const [was, lay] = [await ledger.capture(), beside()];

    expect(await ledger.run('update')).toMatchObject({
      exitCode: 10,
      error: expect.stringContaining('cannot be migrated'),
      result: { outcome: 'restored', identical: true },
    });
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(beside()).toEqual(lay);
    expect(await states()).toEqual(['001_open_accounts COMPLETED', '002_cities COMPLETED']);
  });

  test("no snapshot holds the engine's lock: who is at work is no part of the data", () => {
    expect(beside()).toContain('ledger.db-holdfast-lock');
    const inventory = readFileSync(join(newest()?.folder ?? '', 'inventory.ndjson'), 'utf8').split('\n');
    expect(inventory.filter((line) => line.includes('data/uploads'))).not.toEqual([]);
    expect(inventory.filter((line) => line.includes('ledger.db'))).toEqual([]);
  });
});

test('the orchestrator killed in the middle of a data migration: recover ends that, and brings everything back', async () => {
  await ledger.sandbox.publish(waits, { onto: installed });
  const [was, lay] = [await ledger.capture(), beside()];
  const cli = Cli.start(ledger, 'update');
  await untilWaiting(ledger, cli);
  await cli.kill();
  const { run } = unfinishedRun(ledger);

  expect(await Cli.run(ledger, 'recover')).toMatchObject({
    exitCode: 10,
    result: { outcome: 'restored', identical: true },
  });
  expect(await leftOf(ledger, run)).toEqual([]);
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(beside()).toEqual(lay);
});

test('rehearse, an update and a rollback: rows, records and registry go and come together', async () => {
  await ledger.sandbox.publish(audits(''), { onto: installed });
  expect(await ledger.run('rehearse')).toMatchObject({
    exitCode: 0,
    result: {
      migrations: [
        { kind: 'schema', name: '20261121100000_audits' },
        {
          kind: 'data',
          name: '003_audit',
          rows: [
            { table: 'audits', rows: 4 },
            { table: 'entries', rows: 4 },
          ],
        },
      ],
    },
  });
  const was = await ledger.capture();
  await ledger.succeed('update');
  expect(await amounts()).toEqual([10_000, -300, -7000, 1200]);
  expect(registry()).toContain('003_audit success');

  await ledger.succeed('rollback');
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(registry()).not.toContain('003_audit success');
  expect(await amounts()).toEqual([100, -3, -70, 12]);
});

const citiesThere = async () => await ledger.sql('select distinct city from accounts');

test('data status, down, a dry run and run, with the services at work on the same file', async () => {
  expect(JSON.stringify(await ledger.run('data', 'status'))).toContain('002_cities');

  expect(await ledger.run('data', 'down', '002')).toMatchObject({ exitCode: 0, error: '' });
  expect(await citiesThere()).toEqual([{ city: null }]);
  expect(await states()).toEqual(['001_open_accounts COMPLETED', '002_cities PENDING']);
  expect(registry()).toEqual(['001_open_accounts success']);
  expect(newest()?.manifest).toMatchObject({ name: expect.stringContaining('before-down-002_cities') });

  const [was, lay] = [await ledger.capture(), beside()];
  expect(await ledger.run('data', 'run', '--dry-run')).toMatchObject({ exitCode: 0, error: '' });
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(beside()).toEqual(lay);

  expect(await ledger.run('data', 'run')).toMatchObject({ exitCode: 0, error: '' });
  expect(await citiesThere()).toEqual([{ city: 'Bern' }]);
  expect(registry()).toEqual(['001_open_accounts success', '002_cities success']);
});

test('db seed, migrate status and db stats: the records are none of the tables of the appliance', async () => {
  expect(await ledger.run('db', 'seed')).toMatchObject({ exitCode: 0, error: '' });
  expect(await ledger.sql("select opened from accounts where name = 'seeded'")).toEqual([{ opened: 0 }]);
  expect(await ledger.run('migrate', 'status')).toMatchObject({ exitCode: 0, error: '' });
  const { result } = await ledger.run('db', 'stats');
  const tables = result?.['tables'] as { name: string }[] | undefined;
  expect(tables?.map(({ name }) => name).toSorted()).toEqual(['accounts', 'entries', 'log']);
  expect(existsSync(join(ledger.open().state.path, 'scratch-database'))).toBe(false);
});

test('db reset takes the records with the rows they tell of, and everything runs anew', async () => {
  replaceIn(ledger.directory, 'appliance.yaml', 'name: ledger\n', 'name: ledger\nenvironment: development\n');

  const was = await amounts();
  // Prisma wants the file for itself, and would find out only when the tables are gone.
  expect(await ledger.run('db', 'reset', '--allow-destructive')).toMatchObject({
    ...{ exitCode: 3, error: expect.stringMatching(/^cannot reset the database: .* the database open/) },
    next: expect.stringMatching(/^\.\/run\.sh stop, or stop it \(kill [\d ]+\), then try again$/),
  });
  expect(await ledger.run('db', 'push')).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(/^cannot push the schema: .* the database open/),
  });
  expect(await amounts()).toEqual(was);
  await ledger.succeed('stop');

  const reset = await ledger.run('db', 'reset', '--allow-destructive');
  expect(reset).toMatchObject({ exitCode: 0, error: '' });

  expect(await amounts()).toEqual([]);
  expect(await ledger.sql('select name, city from accounts order by name')).toEqual(
    ['bank', 'cash', 'seeded'].map((name) => ({ name, city: 'Bern' })),
  );
  expect(await states()).toEqual(['001_open_accounts COMPLETED', '002_cities COMPLETED']);
  expect(await ledger.sql('select distinct attempts from holdfast_data_migrations')).toEqual([
    { attempts: 1 },
  ]);

  // Back, as it was said: but not from under somebody.
  const dump = String(reset.result?.['dump']);
  const restore = ['db', 'restore', dump];
  await ledger.succeed('start');
  const dumps = readdirSync(dirname(dump));
  expect(await ledger.run(...restore)).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(/^cannot restore the dump: .* the database open/),
  });
  expect(readdirSync(dirname(dump))).toEqual(dumps);
  // Nor from under somebody who came while it was being made ready.
  const facts = JSON.parse(readFileSync(`${dump}.json`, 'utf8')) as DatabaseFacts;
  await expect(ledger.open().database?.replaceBy(dump, facts, '1')).rejects.toThrow(/the database open/);
  expect(await amounts()).toEqual([]);
  await ledger.succeed('stop');
  expect(await ledger.run(...restore)).toMatchObject({ exitCode: 0, error: '' });
  expect(await amounts()).toEqual(was);
  expect(was).not.toEqual([]);
  expect(registry()).toEqual(['001_open_accounts success', '002_cities success']);
});
