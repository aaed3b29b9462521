import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findPostgresBinaries } from '../../orchestrator/database/binaries.ts';
import { startPostgres, type PostgresServer } from '../fixtures/schema-engine/postgres-server.ts';
import { tally } from '../support/fault-tally.ts';
import { Ledger } from '../support/ledger.ts';
import { release, replaceIn } from '../support/releases.ts';

/*
 * A database on a server of one's own, whose credentials were changed after the update: neither roles nor servers are
 * restored, so the env files of then would lead nowhere.
 */

let server: PostgresServer;
let ledger: Ledger;
const env = () => join(ledger.directory, '.env');
const urlAs = (role: string) => server.url('books').replace('postgres@', `${role}:a-password-nobody-sees@`);

beforeAll(async () => {
  server = await startPostgres();
  await server.query('postgres', 'create role app login superuser');
  await server.query('postgres', 'create database books owner app');
  ledger = await Ledger.create();
  await ledger.sandbox.publish((folder) =>
    replaceIn(folder, 'appliance.yaml', 'database: { embedded: true }', 'database: { url: DATABASE_URL }'),
  );
  await ledger.sandbox.git(ledger.directory, 'pull', '--quiet');
  appendFileSync(env(), `DATABASE_URL=${urlAs('app')}\n`);
  await ledger.succeed('setup');
  await ledger.post('in release 1', 1);
  await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
  await ledger.post('in release 2', 2);
  // As when a password leaked: another role with the same rights, and nobody comes in by the old one.
  await server.query('postgres', 'create role keeper login superuser');
  writeFileSync(env(), readFileSync(env(), 'utf8').replace(urlAs('app'), urlAs('keeper')));
  await server.query('postgres', 'alter role app nologin');
});

afterAll(async () => {
  await ledger?.sandbox.destroy();
  await server?.stop();
});

test('rollback names the variable and the way to go on; no value is told, nothing is stopped', async (context) => {
  const pids = await ledger.pids();
  const outcome = await ledger.run('rollback');

  expect(outcome).toMatchObject({
    exitCode: 3,
    error: expect.stringContaining('DATABASE_URL is another one'),
  });
  expect(outcome.next).toMatch(/--keep-env {3}\(leaves \.env as they are\)/);
  expect(JSON.stringify(outcome)).not.toContain('a-password-nobody-sees');
  expect(await ledger.pids()).toEqual(pids);
  tally(context, 'unchanged');
});

test('with --keep-env the version and the rows of then are back, and reach the database of now', async (context) => {
  expect(await ledger.run('rollback', '--keep-env')).toMatchObject({ exitCode: 0, error: '' });

  expect(readFileSync(env(), 'utf8')).toContain(urlAs('keeper'));
  expect(await ledger.notes()).toEqual(['in release 1']);
  await ledger.post('after the rollback', 3);

  expect(await ledger.run('rollback', '--undo')).toMatchObject({ exitCode: 0, error: '' });
  expect(await ledger.notes()).toEqual(['in release 1', 'in release 2']);
  tally(context, 'completed');
});

test('a rollback with --keep-env that fails leaves everything as it was', async (context) => {
  const outcome = await ledger.failing(
    { step: 'restart-services', operation: /^start web/, when: 'after' },
    'rollback',
    '--keep-env',
  );
  expect(outcome).toMatchObject({ exitCode: 10, result: { outcome: 'restored', identical: true } });
  expect(await ledger.notes()).toEqual(['in release 1', 'in release 2']);
  expect(readFileSync(env(), 'utf8')).toContain(urlAs('keeper'));
  tally(context, 'restored');
});

test('to a database that moved to another server: restored there, and the former server is left alone', async (context) => {
  const there = await startPostgres();
  try {
    await there.query('postgres', 'create role app; create role keeper login superuser');
    await there.query('postgres', 'create database books owner app');
    const bin = findPostgresBinaries(['pg_dump', 'pg_restore']) ?? '';
    const dump = join(ledger.sandbox.root, 'moved.dump');
    await execa(join(bin, 'pg_dump'), ['-Fc', `--file=${dump}`, server.url('books')]);
    await execa(join(bin, 'pg_restore'), [`--dbname=${there.url('books')}`, dump]);
    const moved = there.url('books').replace('postgres@', 'keeper:x@');
    writeFileSync(env(), readFileSync(env(), 'utf8').replace(urlAs('keeper'), moved));
    const former = await server.query('books', 'select note from entries order by id');

    expect(await ledger.run('rollback', '--keep-env')).toMatchObject({ exitCode: 0, error: '' });

    await ledger.post('on the new server', 4);
    expect(await there.query('books', 'select note from entries order by id')).toEqual([
      { note: 'in release 1' },
      { note: 'on the new server' },
    ]);
    expect(await server.query('books', 'select note from entries order by id')).toEqual(former);
    tally(context, 'completed');
  } finally {
    await there.stop();
  }
});
