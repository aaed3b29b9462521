import { once } from 'node:events';
import { connect } from 'node:net';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { badDataMigration, good, waitsInInstallation } from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { openSession } from '../support/database-server.ts';
import { tally } from '../support/fault-tally.ts';
import { tidyUp, untilWaiting } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { release, schemaMigration, type Edit } from '../support/releases.ts';
import { differences } from '../support/state.ts';

/* What else there is on the embedded server: sessions that hold on, what only an administrator may make, roles. */

let ledger: Ledger;
let installed: string;

beforeAll(async () => {
  ledger = await Ledger.install();
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
});

afterEach(async () => {
  await tidyUp(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
});

/** A session of the application over TCP, as its services have. */
async function openAsService(): Promise<Client> {
  const url = (await ledger.open().database?.environment())?.['DATABASE_URL'] ?? '';
  const client = new Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  return client;
}

test('an idle transaction with locks and a session of the administrator are ended, and hold up nothing', async (context) => {
  await ledger.sandbox.publish(badDataMigration, { onto: installed });
  const admin = await openSession(ledger);
  await admin.query('begin; lock table accounts in share row exclusive mode');
  const idle = await openAsService();
  await idle.query('begin; select * from entries for update');
  await idle.query('lock table entries in share row exclusive mode');
  const was = await ledger.capture();

  const outcome = await ledger.run('update');

  expect(outcome).toMatchObject({ exitCode: 10, error: expect.stringMatching(/row 3: cannot be migrated/) });
  expect(differences(was, await ledger.capture())).toEqual([]);
  for (const session of [admin, idle])
    await expect(session.query('commit')).rejects.toThrow(/not queryable|terminat/);
  tally(context, 'restored');
});

test('who connected before the fence, and says only behind it who he is, is not let in by the old rules', async (context) => {
  await ledger.sandbox.publish(waitsInInstallation, { onto: installed });
  const was = await ledger.capture();
  const url = new URL((await ledger.open().database?.environment())?.['DATABASE_URL'] ?? '');
  const early = connect(Number(url.port), '127.0.0.1');
  await once(early, 'connect');
  const gone = once(early, 'close').then(() => 'gone');
  // The client would connect it; it is connected already.
  early.connect = () => {
    setImmediate(() => early.emit('connect'));
    return early;
  };
  const client = new Client({ connectionString: url.href, stream: () => early });
  client.on('error', () => {});
  const cli = Cli.start(ledger, 'update');
  await untilWaiting(ledger, cli);

  const letIn = client.connect().then(
    () => 'let in',
    () => 'refused',
  );
  expect(await Promise.race([gone, letIn])).toBe('gone');

  await cli.kill();
  expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10 });
  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'restored');
});

test('a tablespace, an extension, settings of another role, an object of another owner come back as they were', async (context) => {
  const admin = await openSession(ledger);
  for (const statement of [
    'set allow_in_place_tablespaces = on',
    "create tablespace elsewhere location ''",
    'create table far (id int) tablespace elsewhere',
    'insert into far values (7)',
    'create role archivist',
    'alter table far owner to archivist',
    'create extension file_fdw',
    "alter role auditor in database ledger set work_mem to '9MB'",
    "alter database ledger set log_statement to 'ddl'",
  ])
    await admin.query(statement);
  await admin.end();
  await ledger.sandbox.publish(badDataMigration, { onto: installed });
  const was = await ledger.capture();

  expect(await ledger.run('update')).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });

  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await ledger.sql("select tablespace from pg_tables where tablename = 'far'")).toEqual([
    { tablespace: 'elsewhere' },
  ]);
  tally(context, 'restored');
});

/** A failing release whose schema migration changes roles of the server. */
const changesRoles =
  (sql: string): Edit =>
  (folder) => {
    good(folder);
    schemaMigration(folder, '0004_roles', sql);
    schemaMigration(folder, '0005_fails', 'select * from no_such_table;');
  };

test('a role that a migration made is not in any snapshot: it stays, and that is told', async (context) => {
  await ledger.sql('alter role app createrole');
  await ledger.sandbox.publish(changesRoles('create role reporting;'), { onto: installed });
  const was = await ledger.capture();

  const outcome = await ledger.run('update');

  expect(outcome).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
  expect(outcome.result?.['warnings']).toEqual([
    expect.stringMatching(/role reporting .*DROP ROLE "reporting";/),
  ]);
  expect(differences(was, await ledger.capture())).toEqual([]);
  await ledger.sql('drop role reporting');
  tally(context, 'restored');
});

test('a password of the application that a migration changed is given back with everything else', async (context) => {
  await ledger.sandbox.publish(changesRoles(`alter role app password 'of somebody else';`), {
    onto: installed,
  });
  const was = await ledger.capture();

  expect(await ledger.run('update')).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
  expect(differences(was, await ledger.capture())).toEqual([]);
  await ledger.post('with the password of before', 1);
  tally(context, 'restored');
});

test('a role that a migration dropped is missed before anything is put in place: exit 11 says what to type', async (context) => {
  await ledger.sandbox.publish(
    changesRoles(
      `revoke all on database ledger from auditor; revoke all on accounts from auditor; drop role auditor;`,
    ),
    { onto: installed },
  );
  await ledger.sql('alter role auditor in database ledger reset all');
  // What an earlier failure set aside names the role too, and would keep it.
  const others = await ledger.sql(
    "select datname as name from pg_database where datname like 'hf\\_old\\_%'",
  );
  for (const { name } of others) await ledger.sql(`drop database "${String(name)}" with (force)`);
  const was = await ledger.capture();

  const outcome = await ledger.run('update');
  expect(outcome).toMatchObject({
    exitCode: 11,
    result: {
      error: expect.stringMatching(/names roles that are gone from the server: auditor/),
      next: expect.stringMatching(/CREATE ROLE "auditor"; then \.\/run\.sh recover/),
    },
  });
  const admin = await openSession(ledger, 'postgres');
  await admin.query('create role auditor');
  await admin.end();
  expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'restored');
});
