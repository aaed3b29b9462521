import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PostgresServer } from '../fixtures/schema-engine/postgres-server.ts';
import { startExternal } from '../support/external-database.ts';
import type { Ledger } from '../support/ledger.ts';
import { installPrismaLedger } from '../support/prisma-ledger.ts';
import { dataMigration, replaceIn, schemaMigration } from '../support/releases.ts';

/* `database.shared`: another environment works on the same database, and must not notice what becomes of this one. */

let server: PostgresServer;
let ledger: Ledger;
let other: Client;

beforeAll(async () => {
  const external = await startExternal();
  server = external.server;
  ({ ledger } = await installPrismaLedger({ external: { ...external.database, isShared: true } }));
  other = new Client({ connectionString: external.database.url });
  await other.connect();
  await other.query('create table of_the_other (i int)');
});

afterAll(async () => {
  await other?.end();
  await ledger?.destroy();
  await server?.stop();
});

/** The other environment goes on, in the session that it had before. */
const otherWrites = async () => {
  await other.query('insert into of_the_other values (1)');
  return (await other.query<{ n: number }>('select count(*)::int as n from of_the_other')).rows[0]?.n;
};
const oid = async () =>
  (await server.query('postgres', `select oid::int from pg_database where datname = 'ledger'`))[0];
const warnings = (outcome: Awaited<ReturnType<Ledger['run']>>) => outcome.result?.['warnings'] as string[];
const notice = expect.stringMatching(/^the database is shared with another environment/);
const left = expect.stringMatching(/^the database is NOT RESTORED, since another environment/);
const broken = (folder: string) =>
  replaceIn(folder, 'api/src/server.js', 'server.listen', "throw new Error('cannot start');\nserver.listen");

test('what would set the other environment back is refused, and nothing was touched', async () => {
  const pids = await ledger.pids();
  for (const [command, verb] of [
    [['rollback'], 'roll back'],
    [['rollback', '--undo'], 'roll back'],
    [['migrate', 'down'], 'take migrations back'],
    [['db', 'reset', '--allow-destructive'], 'reset the database'],
    [['db', 'push'], 'push the schema'],
    [['migrate', 'dev', 'tags'], 'develop a migration'],
  ] as const)
    expect(await ledger.run(...command)).toMatchObject({
      exitCode: 3,
      error: `cannot ${verb}: another environment works on this database as well (database.shared), and would be changed with this one`,
    });
  expect(await ledger.pids()).toEqual(pids);
});

test('a release without migrations: code and files are whole or as before, the database is left alone and keeps its sessions', async () => {
  const before = await oid();
  const was = await ledger.answeringCommit();
  await ledger.sandbox.publish(broken, { tag: 'v1.2.0' });
  const outcome = await ledger.run('update');
  expect(outcome).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
  expect(outcome.result?.['compared'] ?? outcome.text).toContain('not the database');
  expect(warnings(outcome)).toEqual([notice, left]);
  expect(await otherWrites()).toBe(1);
  expect(await oid()).toEqual(before);
  expect(await ledger.answeringCommit()).toBe(was);
});

test('migrations need --forward-only; what they did stays when the code goes back, with its record, and is told', async () => {
  const commit = await ledger.sandbox.publish(
    (folder) => {
      schemaMigration(folder, '20260301000000_tags', 'create table tags (i int);');
      dataMigration(folder, '002_tag', 'await client.query("insert into tags values (1)");');
    },
    { tag: 'v1.3.0' },
  );
  const pids = await ledger.pids();
  const refused = await ledger.run('update');
  expect(refused).toMatchObject({
    exitCode: 3,
    error:
      'cannot migrate to v1.3.0: the database is shared with another environment, so that a failure could not take back 2 migrations (20260301000000_tags, 002_tag)',
    next: expect.stringContaining('./run.sh update --forward-only'),
  });
  expect(await ledger.pids()).toEqual(pids);

  const outcome = await ledger.run('update', '--forward-only');
  expect(outcome).toMatchObject({
    exitCode: 10,
    result: { outcome: 'restored', failedStep: 'restart-services' },
  });
  expect(warnings(outcome)).toEqual([notice, left]);
  expect(await ledger.sql('select i from tags')).toEqual([{ i: 1 }]);
  expect(await otherWrites()).toBe(2);

  await ledger.sandbox.publish(
    (folder) => replaceIn(folder, 'api/src/server.js', "throw new Error('cannot start');\n", ''),
    { onto: commit, tag: 'v1.4.0' },
  );
  // The record of the data migration stayed as well: nothing is pending, so nothing needs to be forced.
  expect(await ledger.run('update')).toMatchObject({ exitCode: 0, result: { outcome: 'updated' } });
  expect(await ledger.sql('select i from tags')).toEqual([{ i: 1 }]);
  expect(await otherWrites()).toBe(3);
});
