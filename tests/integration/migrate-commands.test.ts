import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { localRuntime } from '../../orchestrator/runtime/local.ts';
import type { Runtime } from '../../orchestrator/runtime/runtime.ts';
import { prismaCli } from '../../orchestrator/schema-migrations/prisma-cli.ts';
import { Cli } from '../support/cli.ts';
import type { Ledger } from '../support/ledger.ts';
import { installPrismaLedger } from '../support/prisma-ledger.ts';
import { differences } from '../support/state.ts';
import {
  migrationsFolder as folder,
  migrationStates,
  removeWrittenMigrations,
  writeMigration,
} from '../support/written-migrations.ts';

/* `./run.sh migrate ...` on an appliance whose migrations Prisma applies. */

let ledger: Ledger;
const first = '20260301000000_tags';
const second = '20260302000000_more_tags';
const third = '20260401000000_notes';

beforeAll(async () => {
  ({ ledger } = await installPrismaLedger());
});

afterAll(async () => {
  await ledger?.destroy();
});

const write = (name: string, sql: string, down?: string) => {
  writeMigration(ledger, name, sql, down);
};

afterEach(() => {
  removeWrittenMigrations(ledger);
});

const held = `select from pg_locks where locktype = 'advisory' and objid = 72707369`;
const states = async () => await migrationStates(ledger);
const listed = (value: unknown) => (value ?? []) as Record<string, unknown>[];

test('status: exit 0 with nothing to do, 3 with something pending', async () => {
  expect(await ledger.run('migrate', 'status')).toMatchObject({
    exitCode: 0,
    text: expect.stringContaining('1 migration applied, none pending'),
  });
  write(first, 'create table tags (i int);');
  expect(await ledger.run('migrate')).toMatchObject({ exitCode: 3, result: { ok: false, problems: [] } });
  expect(await states()).toEqual(['0001_entries: applied', `${first}: pending`]);
  expect((await ledger.run('migrate', 'show')).text).toContain(`create table tags (i int);`);
  expect((await ledger.run('migrate', 'show', '0001_entries')).text).toContain('create table entries');
});

test('the tables, and one of them', async () => {
  const stats = await ledger.run('db', 'stats');
  expect(listed(stats.result?.['tables'])).toContainEqual({
    ...{ schema: 'public', name: 'entries', rows: 4 },
    ...{ bytes: expect.any(Number), indexes: 2 },
  });
  expect(stats.text).toMatch(/^entries +4 +\d.* +2$/m);
  const table = await ledger.run('db', 'inspect', 'entries');
  expect(table.text).toMatch(/^ {2}note +text +not null/m);
  expect(table.text).toContain('CREATE UNIQUE INDEX entries_note_key');
  expect(table.text).toContain('entries_note_key: UNIQUE (note)');
  expect(await ledger.run('db', 'inspect', 'nix')).toMatchObject({
    exitCode: 3,
    error: 'cannot look into nix: there is no such table (there are accounts, entries)',
  });
});

test('what Prisma would refuse in the window is refused before it: a folder without its file, tables without a record', async () => {
  const pids = await ledger.pids();
  mkdirSync(join(ledger.directory, folder, first), { recursive: true });
  expect(await ledger.run('migrate', 'status')).toMatchObject({
    exitCode: 3,
    text: expect.stringContaining(`P3015: ${first} has a folder, but no migration.sql`),
  });
  write(second, 'create table tags (i int);');
  expect(await ledger.run('migrate', 'deploy')).toMatchObject({
    exitCode: 3,
    error: `cannot migrate the database: the schema migration ${first} has a folder, but no migration.sql (P3015)`,
  });
  rmSync(join(ledger.directory, folder, first), { recursive: true });

  await ledger.sql('alter table _prisma_migrations rename to hidden');
  expect(await ledger.run('migrate', 'deploy')).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(
      /^cannot migrate the database: the database has \d+ tables, and no record of any schema migration \(P3005\)$/,
    ),
  });
  await ledger.sql('alter table hidden rename to _prisma_migrations');
  expect(await ledger.pids()).toEqual(pids);
});

describe('deploy', () => {
  test('applies what is pending behind a snapshot, which brings all back; --to stops at one', async () => {
    write(first, 'create table tags (i int);');
    write(second, 'create table more_tags (i int);');
    const outcome = await ledger.run('migrate', 'deploy', '--to', first);
    expect(outcome).toMatchObject({ exitCode: 0, result: { outcome: 'migrated', migrations: [first] } });
    expect(await states()).toEqual(['0001_entries: applied', `${first}: applied`, `${second}: pending`]);
    // The code that is here has a migration that is not applied: it must not start.
    expect(await ledger.run('restart')).toMatchObject({
      exitCode: 3,
      error: expect.stringContaining(
        `1 schema migration of the code that is here is not applied (${second})`,
      ),
    });
    expect(await ledger.run('migrate', 'deploy')).toMatchObject({
      exitCode: 0,
      result: { migrations: [second] },
    });
    expect(await ledger.run('migrate', 'deploy')).toMatchObject({
      exitCode: 0,
      result: { outcome: 'current' },
    });
    await ledger.succeed('rollback', String(outcome.result?.['run']));
    expect(await ledger.sql(`select to_regclass('tags') as t`)).toEqual([{ t: null }]);
  });

  test('one that fails leaves nothing, of it and of those before it', async () => {
    write(first, 'create table tags (i int);');
    write(second, 'create table more_tags (i int); insert into more_tags values (1); select 1 / 0;');
    const before = await ledger.capture();
    const outcome = await ledger.run('migrate', 'deploy');
    expect(outcome).toMatchObject({
      exitCode: 10,
      result: { outcome: 'restored', failedStep: 'migrate-schema' },
    });
    expect(outcome.error).toContain('division by zero');
    expect(differences(before, await ledger.capture())).toEqual([]);
  });

  test('a database of somebody else that it had dropped is no secret after the restore', async () => {
    await ledger.sql('create database legacy owner app');
    write(first, 'drop database legacy;');
    write(second, 'select 1 / 0;');
    const outcome = await ledger.run('migrate', 'deploy', '--allow-destructive');
    expect(outcome).toMatchObject({
      exitCode: 10,
      result: { warnings: [expect.stringMatching(/^the database legacy is gone from the server /)] },
      text: expect.stringContaining('which no snapshot holds, these are gone: legacy.'),
    });
  });

  test('nor is it after one that was interrupted when all but the start was done', async () => {
    await ledger.sql('create database legacy owner app');
    write(first, 'drop database legacy;');
    write(second, 'select 1 / 0;');
    const startsNothing: Runtime = {
      ...localRuntime,
      startService: async () => await Promise.reject(new Error('no')),
    };
    const deploy = ['migrate', 'deploy', '--allow-destructive'];
    expect(await ledger.watched(() => {}, startsNothing, ...deploy)).toMatchObject({ exitCode: 11 });
    expect(await ledger.run('recover')).toMatchObject({
      ...{ exitCode: 10, text: expect.stringContaining('which no snapshot holds, these are gone: legacy.') },
    });
  });

  test('what takes data away is refused until it is allowed', async () => {
    await ledger.sql('create table spare as select 1 as i');
    write(first, 'drop table spare;');
    expect(await ledger.run('migrate', 'deploy')).toMatchObject({
      exitCode: 3,
      error: expect.stringMatching(/^cannot migrate the database: .* drops the table spare \(1 rows\)/),
      next: expect.stringContaining('./run.sh migrate deploy --allow-destructive'),
    });
    const outcome = await ledger.run('migrate', 'deploy', '--allow-destructive');
    expect(outcome).toMatchObject({ exitCode: 0 });
    await ledger.succeed('rollback', String(outcome.result?.['run']));
    await ledger.sql('drop table spare');
  });
});

describe('a failed migration', () => {
  test('is told with what the database said; resolve, behind a snapshot, lets the next deploy go on', async () => {
    removeWrittenMigrations(ledger);
    await ledger.succeed('start');
    write(first, 'create table tags (i int); select 1 / 0;');
    // By hand, as Prisma itself does it.
    const appliance = ledger.open();
    const environment = (await appliance.database?.environment()) ?? {};
    const command = prismaCli(appliance, appliance.config, ['migrate', 'deploy'], environment);
    expect(await localRuntime.run(command, { allowFailure: true })).toMatchObject({ exitCode: 1 });
    write(first, 'create table tags (i int);');
    const status = await ledger.run('migrate', 'status');
    expect(status).toMatchObject({ exitCode: 3 });
    expect(status.text).toMatch(
      new RegExp(`P3009: ${first} failed and blocks all others: ERROR: division by zero$`, 'm'),
    );
    expect(await ledger.run('migrate', 'deploy')).toMatchObject({
      exitCode: 3,
      error: expect.stringContaining('P3009'),
      next: expect.stringContaining(`./run.sh migrate resolve --rolled-back ${first}`),
    });

    const resolved = await ledger.run('migrate', 'resolve', '--rolled-back', first);
    expect(resolved).toMatchObject({
      exitCode: 0,
      result: { migration: first, snapshot: expect.any(String) },
    });
    expect(await states()).toEqual(['0001_entries: applied', `${first}: rolled back`]);
    // A session that somebody left behind holds Prisma's lock: deploying ends it, as is said.
    const left = ledger
      .sql('select pg_advisory_lock(72707369), pg_sleep(600)')
      .catch((error: unknown) => error);
    await vi.waitUntil(async () => (await ledger.sql(held)).length > 0, { timeout: 20_000 });
    expect((await ledger.run('migrate', 'status')).text).toMatch(
      /P1002: [^]*migrate deploy ends its session/,
    );
    await ledger.succeed('migrate', 'deploy');
    expect(await left).toBeInstanceOf(Error);
    expect(await states()).toEqual(['0001_entries: applied', `${first}: applied`]);
  });

  test('migrations for another kind of database are refused in a sentence', async () => {
    writeFileSync(join(ledger.directory, folder, 'migration_lock.toml'), 'provider = "sqlite"\n');
    write(second, 'create table "more_tags" (i int default now());');
    const refused = await ledger.run('migrate', 'lint');
    expect(refused).toMatchObject({
      exitCode: 3,
      error: expect.stringMatching(
        /migration_lock.toml says that they are for sqlite, and the database is postgresql/,
      ),
    });
    execFileSync('sh', ['-c', String(refused.next).replace(/^bring it back: /, '')]);
    expect((await ledger.run('migrate', 'lint')).text).toContain('1 migration looked at');
  });

  test('resolve without a name, or with two, is bad usage', async () => {
    expect(await ledger.run('migrate', 'resolve')).toMatchObject({ exitCode: 2 });
    expect(await ledger.run('migrate', 'resolve', '--applied', 'a', '--rolled-back', 'b')).toMatchObject({
      exitCode: 2,
    });
  });
});

test('a checkout that was moved by hand: deploy refuses, and a way back still ends with the services up', async () => {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: ledger.directory, encoding: 'utf8' });
  const built = git('rev-parse', 'HEAD').trim();
  await ledger.succeed('restart');
  git('-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-q', '--allow-empty', '-m', 'local');
  // A backup stops them, and a restart too: they come back as what they were.
  await ledger.succeed('backup', 'create');
  await ledger.succeed('restart');
  const pids = await ledger.pids();
  write(third, 'create table notes (i int);');
  git('add', '--all', folder);
  git('-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-qm', 'notes');
  expect(JSON.stringify((await Cli.run(ledger, 'doctor')).result)).toContain(
    `service api answers as commit ${built}, and the checkout is at`,
  );
  const refused = await ledger.run('migrate', 'deploy');
  expect(refused).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(
      `cannot migrate: service api answers as commit ${built}, and the checkout is at .*, which was never built`,
    ),
    next: './run.sh update builds it, and applies what is pending',
  });
  expect(await ledger.pids()).toEqual(pids);

  await ledger.sql('alter table _prisma_migrations rename to hidden');
  expect(await ledger.run('update')).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(/^cannot update to .*: the database has \d+ tables, .* \(P3005\)$/),
  });
  await ledger.sql('alter table hidden rename to _prisma_migrations');

  const hooks = join(ledger.directory, 'hooks/before-migrate-schema.d');
  mkdirSync(hooks, { recursive: true });
  writeFileSync(join(hooks, 'no'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  expect(await ledger.run('update')).toMatchObject({ exitCode: 10 });
  expect(Object.values(await ledger.pids())).not.toContain(0);
  rmSync(join(ledger.directory, 'hooks'), { recursive: true });

  // What the refusal says.
  expect(await ledger.run('update')).toMatchObject({ exitCode: 0, error: '' });
  expect(await states()).toContain(`${third}: applied`);
});
