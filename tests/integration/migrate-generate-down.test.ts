import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Ledger } from '../support/ledger.ts';
import { installPrismaLedger } from '../support/prisma-ledger.ts';
import { migrationsFolder, removeWrittenMigrations, writeMigration } from '../support/written-migrations.ts';

/* Ways back that are written by the machine, and tried. All of it in a scratch database. */

let ledger: Ledger;

beforeAll(async () => {
  ({ ledger } = await installPrismaLedger());
});

afterEach(() => {
  removeWrittenMigrations(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
});

const scratches = async () => await ledger.sql(`select datname from pg_database where datname like 'hf\\_%'`);

const write = (name: string, sql: string, down?: string) => {
  writeMigration(ledger, name, sql, down);
};

test('the way back is written, and it works: up, down and up again', async () => {
  const name = '20260401000000_tags';
  write(
    name,
    'create table tags (id int primary key, label text not null); alter table entries add column tag int references tags (id);',
  );
  const written = await ledger.run('migrate', 'generate-down', name);
  expect(written).toMatchObject({ exitCode: 0 });
  const down = readFileSync(join(ledger.directory, migrationsFolder, name, 'down.sql'), 'utf8');
  expect(down).toContain('DROP TABLE "tags"');
  expect(down).toContain('DROP COLUMN "tag"');
  expect(await ledger.run('migrate', 'test-down', name)).toMatchObject({
    exitCode: 0,
    result: {
      ...{ ok: true, differences: [], reordered: [], notBroughtBack: [] },
      lostByDown: [
        expect.stringContaining('drops the column entries.tag'),
        expect.stringContaining('drops the table tags'),
      ],
    },
  });
  expect(await ledger.run('migrate', 'generate-down', name)).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(/is there already$/),
  });
  expect(await scratches()).toEqual([]);
});

test('the way back of a value of an enum is one that migrate down takes, and goes by the same role', async () => {
  write(
    '20260401000000_moods',
    `create type mood as enum ('good'); create table people (id int primary key, mood mood);`,
  );
  const name = '20260402000000_bad_mood';
  write(name, `alter type mood add value 'bad';`);
  await ledger.succeed('migrate', 'generate-down', name);
  const down = readFileSync(join(ledger.directory, migrationsFolder, name, 'down.sql'), 'utf8');
  expect(down).toContain('CREATE TYPE "mood_new"');
  expect(down).not.toMatch(/^(?:BEGIN|COMMIT)/m);
  expect(await ledger.run('migrate', 'test-down', name)).toMatchObject({ error: '', exitCode: 0 });
  await ledger.succeed('migrate', 'deploy');
  await ledger.succeed('migrate', 'down');
  expect(await ledger.sql('select enumlabel from pg_enum')).toEqual([{ enumlabel: 'good' }]);

  // What only the administrator may do fails where migrate down would.
  write(name, `alter type mood add value 'bad';`, 'set session_replication_role = replica;');
  expect(await ledger.run('migrate', 'test-down', name)).toMatchObject({
    error: expect.stringContaining('permission denied to set parameter'),
  });
  write(name, `alter type mood add value 'bad';`, `alter database ledger set work_mem to '6MB';`);
  expect(await ledger.run('migrate', 'test-down', name)).toMatchObject({
    error: expect.stringMatching(/^cannot try the way back of .* changes the server/),
  });
  write(name, `alter type mood add value 'bad';`, 'begin; commit;');
  expect(await ledger.run('migrate', 'test-down', name)).toMatchObject({
    error: expect.stringMatching(/begins or ends a transaction by itself/),
  });
});

test('what Prisma does not see is named, and no way back is written that leaves it there in silence', async () => {
  const name = '20260401000000_unseen';
  const file = join(ledger.directory, migrationsFolder, name, 'down.sql');
  const unseen = `create schema base; create view small as select id from entries where amount < 10;
    create function nix() returns trigger language plpgsql as $$ begin return new; end; $$;
    create trigger nix before insert on entries for each row execute function nix();
    create index few on entries (amount) where amount > 100;
    alter table entries add constraint chk check (amount > -1000000);`;
  write(name, unseen);
  const refused = await ledger.run('migrate', 'generate-down', name);
  expect(refused).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(/^cannot write the way back of 20260401000000_unseen: Prisma does not see/),
    next: expect.stringContaining(`./run.sh migrate test-down ${name}`),
  });
  for (const made of [
    /SCHEMA base/,
    /VIEW .*small/,
    /FUNCTION .*nix/,
    /TRIGGER nix/,
    /INDEX few/,
    /chk CHECK/,
  ])
    expect(refused.error).toMatch(made);
  expect(await ledger.run('migrate', 'generate-down', name, '--dry-run')).toMatchObject({ exitCode: 3 });
  expect(existsSync(file)).toBe(false);

  // Beside what it sees: that is written, and the rest is told.
  write(name, `create table tags (id int primary key); ${unseen}`);
  const written = await ledger.run('migrate', 'generate-down', name);
  expect(written).toMatchObject({ exitCode: 0, result: { notSeen: expect.any(Array) } });
  expect(written.text).toMatch(/! Prisma does not see .*\n(?: .*\n)* *left over: .*CREATE VIEW [^\n]*small/);
  expect(written.text).not.toContain('left over: CREATE TABLE');
  expect(readFileSync(file, 'utf8')).toContain('DROP TABLE "tags"');

  // What it does not see may stand in the way of what it does.
  rmSync(file);
  write(name, 'alter table entries add column tag int; create view tagged as select tag from entries;');
  expect(await ledger.run('migrate', 'generate-down', name)).toMatchObject({
    ...{ exitCode: 0, result: { failure: expect.stringContaining('view tagged') } },
    text: expect.stringContaining('! It fails as it is, and has to be mended by hand: '),
  });

  // Rows are no schema.
  const rows = '20260402000000_rows';
  write(rows, 'update entries set amount = amount + 1 where amount < 0;');
  expect(await ledger.run('migrate', 'generate-down', rows)).toMatchObject({ exitCode: 0 });
  expect(readFileSync(join(ledger.directory, migrationsFolder, rows, 'down.sql'), 'utf8')).toContain(
    'SELECT 1;',
  );
  expect(await scratches()).toEqual([]);
});

test('a way back that empties a column is told, and the order of columns is no difference', async () => {
  const name = '20260501000000_bigger';
  write(
    name,
    'alter table entries alter column amount type bigint;',
    'alter table entries drop column amount; alter table entries add column amount int not null;',
  );
  const tried = await ledger.run('migrate', 'test-down', name);
  expect(tried).toMatchObject({
    exitCode: 0,
    result: {
      ...{ differences: [], reordered: ['entries'] },
      lostByDown: [expect.stringContaining('drops the column entries.amount')],
    },
  });
  expect(tried.text).toMatch(/its down.sql takes away: it drops the column entries\.amount/);
  write(name, 'select 1; select 1 / 0;', 'select 1;');
  expect(await ledger.run('migrate', 'test-down', name)).toMatchObject({
    error: expect.stringContaining('division by zero'),
    next: expect.stringContaining(`./run.sh migrate show ${name}`),
  });
});

test('a way back that leaves something is found; rows that none brings back are named', async () => {
  const name = '20260401000000_drop';
  write(name, 'alter table entries drop column amount;', 'alter table entries add column amount bigint;');
  const tried = await ledger.run('migrate', 'test-down', name);
  expect(tried).toMatchObject({ exitCode: 3, result: { ok: false } });
  expect(tried.result?.['differences']).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/missing: entries: amount integer NOT NULL/),
      expect.stringMatching(/left over: entries: amount bigint/),
    ]),
  );
  expect(tried.result?.['notBroughtBack']).toEqual([
    expect.stringContaining('drops the column entries.amount'),
  ]);
  write(name, 'alter table entries drop column amount;', 'alter table nix add column amount bigint;');
  expect(await ledger.run('migrate', 'test-down', name)).not.toMatchObject({ exitCode: 0 });
  expect(existsSync(join(ledger.directory, migrationsFolder, name, 'down.sql'))).toBe(true);
  expect(await scratches()).toEqual([]);
});
