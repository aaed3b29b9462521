import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findByEnvironment } from '../../orchestrator/lib/processes.ts';
import { rehearsalFolder } from '../../orchestrator/pipeline/rehearsal.ts';
import { Cli } from '../support/cli.ts';
import { Ledger } from '../support/ledger.ts';
import { dataMigration, release, schemaMigration, type Edit } from '../support/releases.ts';
import { differences, type State } from '../support/state.ts';

/* Migrations that are tried on a copy, while the appliance serves: what fails is found before anything is stopped. */

let ledger: Ledger;
let installed: string;
let was: State;
let pids: Record<string, number>;

beforeAll(async () => {
  ledger = await Ledger.install();
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
  await ledger.post('tea', -3);
  was = await ledger.capture();
  pids = await ledger.pids();
});

afterAll(async () => {
  await ledger?.destroy();
});

/** Nothing was stopped, nothing is changed, nothing is left. */
async function expectUntouched(): Promise<void> {
  expect(await ledger.pids()).toEqual(pids);
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await scratches()).toEqual([]);
  expect(existsSync(rehearsalFolder(ledger.open()))).toBe(false);
}

const scratches = async () => await ledger.sql(`select datname from pg_database where datname like 'hf\\_%'`);

/** No two entries of one amount: true of an empty ledger, and not of this one. */
const unique: Edit = (folder) => {
  schemaMigration(folder, '0004_unique', 'create unique index entries_amount on entries (amount);');
};

describe('a migration that fails on the real rows only', () => {
  test('is found by a rehearsal, exit 3, with the words of the database', async () => {
    await ledger.sandbox.publish(unique, { onto: installed, tag: 'v3' });
    const outcome = await ledger.run('rehearse');
    expect(outcome).toMatchObject({ exitCode: 3, result: { ok: false, to: 'v3' } });
    expect(outcome.text).toMatch(/could not create unique index "entries_amount"/);
    expect(outcome.text).toMatch(/v3 would not come through.* Nothing was stopped or changed/);
    await expectUntouched();
  });

  test('is found on the rows of a snapshot, too', async () => {
    await ledger.succeed('backup', 'create', '--name', 'now');
    pids = await ledger.pids();
    was = await ledger.capture();
    // The rows of now would come through: only those of the snapshot tell.
    await ledger.sql(`update entries set amount = -4 where note = 'tea'`);
    for (const which of [['now'], []])
      expect(await ledger.run('rehearse', '--snapshot', ...which)).toMatchObject({
        exitCode: 3,
        text: expect.stringMatching(/could not create unique index "entries_amount"/),
      });
    expect(await ledger.run('rehearse')).toMatchObject({ exitCode: 0 });
    await ledger.sql(`update entries set amount = -3 where note = 'tea'`);
    expect(await ledger.run('rehearse', '--snapshot', 'nix')).toMatchObject({
      exitCode: 3,
      error: expect.stringContaining('nix'),
    });
    await expectUntouched();
  });

  test('keeps update --rehearse from beginning', async () => {
    expect(await ledger.run('update', '--rehearse')).toMatchObject({
      exitCode: 3,
      error: expect.stringMatching(/^cannot update to v3: .* failed in the rehearsal: .*entries_amount/s),
    });
    expect(ledger.open().state.unfinishedRun()).toBeUndefined();
    await expectUntouched();
  });
});

test('what would reach the live database through its copy is refused; what nobody sees in a migration is told', async () => {
  const [{ name } = {}] = await ledger.sql('select current_database() as name');
  const sets =
    (sql: string): Edit =>
    (folder) =>
      schemaMigration(folder, '0004_settings', sql);
  await ledger.sandbox.publish(
    sets(`select 1;\nalter database "${String(name)}" set maintenance_work_mem = '7MB';`),
    {
      ...{ onto: installed, tag: 'v4' },
    },
  );
  expect(await ledger.run('rehearse')).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(
      /^cannot rehearse v4: 0004_settings, line 2, changes the server, .* the live database would feel/,
    ),
  });
  await expectUntouched();

  const hidden = `do $$ declare t text; begin select datname into t from pg_database where datname = '${String(name)}';
execute 'alter database ' || t || ' set maintenance_work_mem = ''7MB''';
execute 'comment on database ' || t || ' is ''changed'''; end $$;`;
  await ledger.sandbox.publish(sets(hidden), { onto: installed, tag: 'v4.1' });
  expect(await ledger.run('rehearse')).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(
      /^cannot rehearse v4\.1: 0004_settings, line \d, .* nobody can tell whether/,
    ),
    next: expect.stringContaining('-- holdfast:accept dynamic-sql: WHY'),
  });
  await expectUntouched();
  await ledger.sandbox.publish(sets(`-- holdfast:accept dynamic-sql: it only looks so\n${hidden}`), {
    onto: installed,
    tag: 'v5',
  });
  expect(await ledger.run('rehearse')).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(
      /^what was tried on a copy changed the live database: database comment: .* became changed; database settings differ\. It was put back$/,
    ),
  });
  await expectUntouched();
});

test('what work on a copy did to the live database is put back as well where it then fails', async () => {
  const trying = ledger.open().database?.withScratch(async () => {
    await ledger.sql(`alter role app in database ledger set lock_timeout to '9s'`);
    await ledger.sql('alter database ledger with connection limit 3');
    throw new Error('and then it failed');
  });
  await expect(trying).rejects.toMatchObject({
    message: expect.stringMatching(
      /connectionLimit: 40 became 3; database settings differ\. It was put back$/,
    ),
    cause: new Error('and then it failed'),
  });
  await expectUntouched();
});

test('a good release: each migration with its time, rows and locks, and how long an update will take', async () => {
  await ledger.sandbox.publish(
    (folder) => {
      schemaMigration(folder, '0004_slow', `alter table entries add column slow int; select pg_sleep(0.5);`);
      dataMigration(folder, '004_slow', `await client.query('update entries set slow = 1');`);
    },
    { onto: installed, tag: 'v3.1' },
  );
  const { exitCode, result, text } = await ledger.run('rehearse');
  expect(exitCode).toBe(0);
  const migrations = result?.['migrations'] as Record<string, unknown>[];
  expect(migrations).toMatchObject([
    {
      kind: 'schema',
      locks: expect.arrayContaining([expect.objectContaining({ table: 'entries', blocks: 'read' })]),
    },
    { kind: 'data', rows: expect.arrayContaining([{ table: 'entries', rows: expect.any(Number) }]) },
  ]);
  const [schema] = migrations;
  const locks = (schema === undefined ? [] : schema['locks']) as { table: string; ms: number }[];
  const held = locks.find(({ table }) => table === 'entries');
  expect(held?.ms).toBeGreaterThan(300);
  expect(result?.['estimatedOutageMs']).toBeGreaterThan(Number(schema?.['ms']));
  expect(text).toMatch(/v3\.1 came through .*\n {2}An update will keep it away for about /);
  await expectUntouched();
});

test('a data migration that fails is found as well', async () => {
  await ledger.sandbox.publish(
    (folder) => {
      dataMigration(folder, '004_fails', `throw new Error('row 3 has no account');`);
    },
    { onto: installed, tag: 'v3.2' },
  );
  const { exitCode, text } = await ledger.run('rehearse');
  expect(exitCode).toBe(3);
  expect(text).toContain('row 3 has no account');
  await expectUntouched();
});

test('data migrations that work on files find a copy of them, where it is asked for', async () => {
  await ledger.sandbox.publish(release(3), { onto: installed, tag: 'v3.4' });
  expect(await ledger.run('rehearse')).toMatchObject({
    exitCode: 3,
    text: expect.stringContaining('photo.bin'),
  });
  expect(await ledger.run('rehearse', '--with-files')).toMatchObject({ exitCode: 0 });
  await expectUntouched();
});

test('killed in the middle: the live appliance is untouched, and the next command clears up', async () => {
  await ledger.sandbox.publish(
    (folder) => {
      schemaMigration(folder, '0004_long', 'select pg_sleep(60);');
    },
    { onto: installed, tag: 'v3.3' },
  );
  const folder = rehearsalFolder(ledger.open());
  const cli = Cli.start(ledger, 'rehearse');
  await expect
    .poll(
      async () =>
        await ledger.sql(
          `select 1 from pg_stat_activity where query like '%pg_sleep(60)%' and pid <> pg_backend_pid()`,
        ),
      {
        timeout: 90_000,
        interval: 200,
      },
    )
    .not.toEqual([]);
  await cli.kill();
  expect(findByEnvironment('HOLDFAST_RUN', folder)).not.toEqual([]);
  expect(await scratches()).not.toEqual([]);

  await ledger.succeed('backup', 'prune');
  expect(findByEnvironment('HOLDFAST_RUN', folder)).toEqual([]);
  await expectUntouched();
});

test('interrupted by Ctrl-C: exit 130, and nothing is left', async () => {
  const cli = Cli.start(ledger, 'rehearse');
  await expect.poll(scratches, { timeout: 90_000, interval: 100 }).not.toEqual([]);
  cli.signal('SIGINT');
  expect(await cli.ended).toMatchObject({ exitCode: 130 });
  await expectUntouched();
});
