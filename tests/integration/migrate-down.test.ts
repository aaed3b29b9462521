import { execFileSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Ledger } from '../support/ledger.ts';
import { installPrismaLedger } from '../support/prisma-ledger.ts';
import { differences, type State } from '../support/state.ts';
import {
  migrationsFolder,
  migrationStates,
  removeWrittenMigrations,
  writeMigration,
} from '../support/written-migrations.ts';

/* `./run.sh migrate down`: schema migrations taken back by their own SQL, with their records. */

let ledger: Ledger;
let was: State;
const first = '20260301000000_tags';
const second = '20260302000000_more_tags';

beforeAll(async () => {
  ({ ledger } = await installPrismaLedger());
  was = await ledger.capture();
});

afterEach(() => {
  removeWrittenMigrations(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
});

const write = (name: string, sql: string, down?: string) => {
  writeMigration(ledger, name, sql, down);
};
const states = async () => await migrationStates(ledger);

test('takes the newest back with its record; the services stay down, since the code is of another schema', async () => {
  write(first, 'create table tags (i int);', 'drop table tags;');
  await ledger.succeed('migrate', 'deploy');
  const outcome = await ledger.run('migrate', 'down');
  expect(outcome).toMatchObject({ exitCode: 0, result: { migrations: [first], services: 'stopped' } });
  expect(await ledger.pids()).toMatchObject({ api: 0, web: 0 });
  expect(await states()).toEqual(['0001_entries: applied', `${first}: pending`]);
  expect(await ledger.run('start')).toMatchObject({
    ...{ exitCode: 3, next: expect.stringMatching(/^\.\/run\.sh migrate deploy applies them/) },
  });
  expect((await ledger.run('status')).text).toMatch(/Next: \.\/run\.sh migrate deploy /);
  expect(await ledger.run('recover')).toMatchObject({ exitCode: 0 });
  expect(await ledger.pids()).toMatchObject({ api: 0, web: 0 });

  removeWrittenMigrations(ledger);
  expect(await ledger.run('start')).toMatchObject({ exitCode: 0 });
  expect(differences(was, await ledger.capture()).filter((line) => line.startsWith('database'))).toEqual([]);
});

test('code that does not have it any more starts again', async () => {
  write(first, 'create table tags (i int);', 'drop table tags;');
  await ledger.succeed('migrate', 'deploy');
  // As after a checkout of the version before by hand: its file is in another commit.
  execFileSync('git', ['checkout', '-q', '-b', 'later'], { cwd: ledger.directory });
  execFileSync('git', ['add', migrationsFolder], { cwd: ledger.directory });
  execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-qm', 'later'], {
    cwd: ledger.directory,
  });
  execFileSync('git', ['checkout', '-q', 'main'], { cwd: ledger.directory });
  expect(await ledger.run('migrate', 'status')).toMatchObject({
    exitCode: 3,
    text: expect.stringContaining(`${first}: applied here, and not in this version's files`),
  });
  const outcome = await ledger.run('migrate', 'down');
  expect(outcome).toMatchObject({ exitCode: 0, result: { migrations: [first] } });
  expect(outcome.result).not.toHaveProperty('services');
  expect((await ledger.pids())['api']).toBeGreaterThan(0);
  expect(await states()).toEqual(['0001_entries: applied']);
  execFileSync('git', ['branch', '-qD', 'later'], { cwd: ledger.directory });
});

test('a down that fails is restored as a whole; one that is not there is refused, and one with a COMMIT', async () => {
  write(first, 'create table tags (i int);', 'drop table tags; select 1 / 0;');
  write(second, 'create table more_tags (i int);', 'begin; drop table more_tags; commit;');
  await ledger.succeed('migrate', 'deploy');
  expect(await ledger.run('migrate', 'down')).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(/begins or ends a transaction by itself, in line 1$/),
  });
  write(second, 'create table more_tags (i int);', 'drop table more_tags;');
  const before = await ledger.capture();
  const failed = await ledger.run('migrate', 'down', '--to', '0001_entries');
  expect(failed).toMatchObject({ exitCode: 10, result: { failedStep: 'revert-schema' } });
  expect(differences(before, await ledger.capture())).toEqual([]);
  expect(await ledger.run('migrate', 'down', '--to', 'nix')).toMatchObject({ exitCode: 3 });
  write(first, 'create table tags (i int);', 'drop table tags;');
  await ledger.succeed('migrate', 'down', '--to', '0001_entries');
});
