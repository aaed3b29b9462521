import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { PostgresServer } from '../fixtures/schema-engine/postgres-server.ts';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { startExternal } from '../support/external-database.ts';
import { tally } from '../support/fault-tally.ts';
import { interfering } from '../support/interference.ts';
import { Knocker } from '../support/knocker.ts';
import { tidyUp, unfinishedRun } from '../support/left-behind.ts';
import { Ledger, type ExternalDatabase } from '../support/ledger.ts';
import { release } from '../support/releases.ts';
import { differences } from '../support/state.ts';

/* A database on somebody else's server: it goes away and comes back, and other programs write to it as they please. */

let server: PostgresServer;
let database: ExternalDatabase;
let ledger: Ledger;
let installed: string;

beforeAll(async () => {
  ({ server, database } = await startExternal());
  ledger = await Ledger.install({ external: database });
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
});

afterEach(async () => {
  await tidyUp(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
  await server?.stop();
});

const databases = async () =>
  (await server.query('postgres', "select datname from pg_database where datname like 'hf_new%'")).length;

test.for([
  { where: 'in the dump', during: 'backup-database', at: /^pg_dump --format/ },
  { where: 'in the migrations', during: 'migrate-data', at: /^bash .*run\.sh/ },
  { where: 'in the restore', during: 'restore', at: /^pg_restore/ },
] as const)(
  'the server goes away $where and stays away: exit 11 says so, and recover finishes when it is back',
  async ({ during, at }, context) => {
    await ledger.sandbox.publish(during === 'restore' ? broken.badDataMigration : broken.good, {
      onto: installed,
    });
    const was = await ledger.capture();

    const outcome = await interfering(
      ledger,
      { during, at, before: async () => await server.halt() },
      'update',
    );
    expect(outcome).toMatchObject({ exitCode: 11, result: { outcome: 'not-restored' } });
    expect(outcome.result?.['error']).toMatch(/connection to server .* failed/);
    expect(outcome.result?.['next']).toMatch(/run\.sh recover/);
    expect(await ledger.pids()).toEqual({ api: 0, web: 0 });
    // Still away: the same answer, and nothing worse.
    expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 11 });

    await server.resume();
    expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
    expect(differences(was, await ledger.capture())).toEqual([]);
    tally(context, 'restored');
  },
);

test('a program that reconnects in a loop is kept out, and every row that it was told is kept is there', async (context) => {
  await ledger.sandbox.publish(broken.badDataMigration, { onto: installed });
  const was = await ledger.sql('select id, note from entries order by id');
  const cron = Knocker.start(database.url);

  const outcome = await ledger.run('update');
  const kept = await cron.stop();

  expect(outcome).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
  expect(cron.refused).toBeGreaterThan(3);
  expect(kept.length).toBeGreaterThan(3);
  const rows = await ledger.sql('select id, note from entries order by id');
  expect(rows.slice(0, was.length)).toEqual(was);
  expect(rows.slice(was.length).map(({ note }) => note)).toEqual(kept);
  expect(await databases()).toBe(0);
  tally(context, 'restored');
});

test('an idle transaction of the application that holds locks is ended: no row of it is there', async (context) => {
  await ledger.sandbox.publish(broken.badSchemaMigration, { onto: installed });
  const was = await ledger.capture();
  const idle = new Client({ connectionString: database.url });
  idle.on('error', () => {});
  await idle.connect();
  await idle.query("begin; insert into entries (note, amount) values ('never committed', 1)");
  await idle.query('lock table entries in share row exclusive mode');

  const outcome = await ledger.run('update');

  expect(outcome).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
  await expect(idle.query('commit')).rejects.toThrow(/not queryable|terminat/);
  // Its number is used up, as with every row that is rolled back.
  expect(differences(was, await ledger.capture()).filter((line) => !line.startsWith('sequence'))).toEqual([]);
  tally(context, 'restored');
});

test('killed after `restored`: what the version of before acknowledged meanwhile stays', async (context) => {
  await ledger.sandbox.publish(broken.badDataMigration, { onto: installed });
  const cli = Cli.start(ledger, 'update');
  await cli.until('the run is restored', () => unfinishedRun(ledger).phase === 'restored');
  const cron = Knocker.start(database.url);
  await cli.until('the version of before takes a row', async () => (await ledger.pids())['web'] !== 0);
  await cli.kill();
  expect(unfinishedRun(ledger).phase).toBe('restored');
  await ledger.post('by the version of before', 1);

  expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10 });

  const kept = await cron.stop();
  expect(kept.length).toBeGreaterThan(0);
  expect(await ledger.notes()).toEqual(expect.arrayContaining(['by the version of before', ...kept]));
  expect(await ledger.answeringCommit()).toBe(installed);
  tally(context, 'restored');
});
