import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Ledger } from '../support/ledger.ts';
import { installPrismaLedger } from '../support/prisma-ledger.ts';

/* Migrations that are written by the machine: from schema.prisma, and back. All of it in a scratch database. */

let ledger: Ledger;
const folder = 'api/prisma/migrations';
const schemaFile = () => join(ledger.directory, 'api/prisma/schema.prisma');

beforeAll(async () => {
  ({ ledger } = await installPrismaLedger());
});

afterEach(async () => {
  execFileSync('git', ['checkout', '-q', '--', '.'], { cwd: ledger.directory });
  execFileSync('git', ['clean', '-fdq', '--', folder], { cwd: ledger.directory });
  // Only what is looked at by a test that failed would be left.
  await ledger.sql('select 1');
});

afterAll(async () => {
  await ledger?.destroy();
});

const scratches = async () => await ledger.sql(`select datname from pg_database where datname like 'hf\\_%'`);
const lying = () => globSync('*/migration.sql', { cwd: join(ledger.directory, folder) }).toSorted();

/** Makes schema.prisma what the first migration made, and more. */
function extend(models: string, inEntries = ''): void {
  const text = readFileSync(schemaFile(), 'utf8');
  writeFileSync(schemaFile(), `${text.replace('  amount Int\n', `  amount Int\n${inEntries}`)}\n${models}`);
}

/** The first schema.prisma says less than the first migration did (a sequence): that is a migration of its own. */
async function level(): Promise<void> {
  await ledger.run('migrate', 'generate', 'level');
}

test('no changes are said to be none', async () => {
  await level();
  const before = lying();
  expect(await ledger.run('migrate', 'generate', 'nothing new')).toMatchObject({
    exitCode: 0,
    result: { migrations: [] },
    text: expect.stringMatching(/^No changes/),
  });
  expect(lying()).toEqual(before);
  expect(await scratches()).toEqual([]);
});

test('a change is written as a migration that is named as it must be; a dry run writes nothing', async () => {
  await level();
  extend('', '  memo   String?\n');
  const before = lying();
  const dry = await ledger.run('migrate', 'generate', 'Add memo to entries!', '--dry-run');
  expect(dry.text).toContain('ALTER TABLE "entries" ADD COLUMN');
  expect(lying()).toEqual(before);

  expect(await ledger.run('migrate', 'generate', 'Add memo to entries!')).toMatchObject({ exitCode: 0 });
  const [added] = lying().filter((path) => !before.includes(path));
  expect(added).toMatch(/^\d{14}_add_memo_to_entries\/migration\.sql$/);
  expect(readFileSync(join(ledger.directory, folder, added ?? ''), 'utf8')).toContain('"memo" TEXT');
  expect(await ledger.run('migrate', 'generate', '!!!')).toMatchObject({ exitCode: 2 });
  expect(await scratches()).toEqual([]);
});

test('one migration a table, each after what it refers to', async () => {
  await level();
  extend(
    `model Visit {
  id       Int      @id
  doctorId Int
  doctor   Doctor   @relation(fields: [doctorId], references: [id])
  kind     Kind
}

model Doctor {
  id     Int     @id
  name   String
  visits Visit[]

  @@index([name])
}

enum Kind {
  short
  long
}
`,
    '  memo   String?\n',
  );
  const { result } = await ledger.run('migrate', 'generate', 'visits', '--per-table', '--dry-run');
  const made = (result?.['migrations'] ?? []) as { name: string; sql: string }[];
  expect(made.map(({ name }) => name.slice(15))).toEqual(['create_doctor', 'create_visit', 'update_entries']);
  expect(made[0]?.sql).toMatch(/CREATE TABLE "Doctor"[^]*CREATE INDEX/);
  expect(made[1]?.sql).toMatch(/CREATE TYPE "Kind"[^]*CREATE TABLE "Visit"[^]*FOREIGN KEY/);
  const names = made.map(({ name }) => name);
  expect(names.toSorted()).toEqual(names);
  expect(new Set(names.map((name) => name.slice(0, 14))).size).toBe(3);
});

/** Models as they were and as they are to be: what is between them is applied one after another, and is all of it. */
const changes = {
  'indexes made anew under their names, tables that wait for each other, values of enums': {
    schemas: '',
    before: `
      model Hen { id Int @id; name String; eggId Int? @unique; @@index([name]) }
      model Old { id Int @id; henName String; @@index([henName], map: "moved_idx") }
      model Ref { id Int @id; thingKey Int; thing Thing @relation(fields: [thingKey], references: [key]) }
      model Thing { id Int @id; key Int @unique; refs Ref[] }
      model Lamp { id Int @id @default(autoincrement()); state State @default(off) }
      model Person { id Int @id; mood Mood }
      enum State { on; off; gone }
      enum Mood { good }`,
    after: `
      model Hen { id Int @id; name String; eggId Int? @unique; egg Egg? @relation("lays", fields: [eggId], references: [id])
        eggs Egg[] @relation("hatches"); @@index([name(sort: Desc)]) }
      model Egg { id Int @id; henId Int; layer Hen? @relation("lays"); hen Hen @relation("hatches", fields: [henId], references: [id])
        @@index([henId], map: "moved_idx") }
      model Ref { id Int @id; thingKey Int }
      model Thing { id Int @id @default(autoincrement()) }
      model Lamp { id Int @id; state State @default(off); second Boolean @default(true) }
      model Person { id Int @id; mood Mood @default(bad) }
      enum State { on; off }
      enum Mood { good; bad }`,
    names: [
      ...['update_mood', 'update_lamp', 'update_ref', 'update_thing', 'update_person', 'drop_old'],
      ...['create_egg', 'update_hen', 'update_egg'],
    ],
  },
  'a new schema, its types and an extension': {
    schemas: 'schemas = ["public", "audit"]\n  extensions = [citext]',
    before: '',
    after: `
      model AuditLog { id Int @id; level Level; by String @db.Citext; @@schema("audit") }
      enum Level { low; high; @@schema("audit") }`,
    names: ['update_database', 'create_audit_audit_log'],
  },
};
const models = (compact: string) =>
  compact.replaceAll(/ *; */g, '\n').replaceAll('{ ', '{\n').replaceAll(' }', '\n}');

test.each(Object.entries(changes))(
  'one migration a table: %s',
  async (_what, { schemas, before, after, names }) => {
    const own = readFileSync(schemaFile(), 'utf8');
    writeFileSync(schemaFile(), `${own}\n${models(before)}`);
    await ledger.succeed('migrate', 'generate', 'before');
    const there = lying();
    const inSchemas = own
      .replace('provider = "postgresql"', `provider = "postgresql"\n  ${schemas}`)
      .replace(
        'provider = "prisma-client"',
        'provider = "prisma-client"\n  previewFeatures = ["postgresqlExtensions"]',
      )
      .replaceAll(/^(model [^}]*)\}/gm, '$1\n  @@schema("public")\n}');
    writeFileSync(schemaFile(), `${schemas === '' ? own : inSchemas}\n${models(after)}`);
    await ledger.succeed('migrate', 'generate', 'after', '--per-table');
    const made = lying().filter((path) => !there.includes(path));
    expect(made.map((path) => path.slice(15, -'/migration.sql'.length))).toEqual(names);
    const again = await ledger.run('migrate', 'generate', 'nothing', '--dry-run');
    expect(again.error).toBe('');
    expect(again.text).toMatch(/^No changes/);
  },
);

test('a name that Prisma does not escape is no bug of ours', async () => {
  extend('model Odd {\n  id Int @id\n  text String @map("weird \\"name")\n}');
  expect(await ledger.run('migrate', 'generate', 'odd', '--per-table')).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(
      /^cannot write one migration a table: the SQL that Prisma writes .* line \d+/,
    ),
    next: expect.stringContaining('@map'),
  });
});

/** A migration of a test's own. */
function write(name: string, sql: string, down?: string): void {
  mkdirSync(join(ledger.directory, folder, name), { recursive: true });
  writeFileSync(join(ledger.directory, folder, name, 'migration.sql'), sql);
  if (down !== undefined) writeFileSync(join(ledger.directory, folder, name, 'down.sql'), down);
}

test('the way back is written, and it works: up, down and up again', async () => {
  const name = '20260401000000_tags';
  write(
    name,
    'create table tags (id int primary key, label text not null); alter table entries add column tag int references tags (id);',
  );
  const written = await ledger.run('migrate', 'generate-down', name);
  expect(written).toMatchObject({ exitCode: 0 });
  const down = readFileSync(join(ledger.directory, folder, name, 'down.sql'), 'utf8');
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
  const down = readFileSync(join(ledger.directory, folder, name, 'down.sql'), 'utf8');
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
  const file = join(ledger.directory, folder, name, 'down.sql');
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
  expect(readFileSync(join(ledger.directory, folder, rows, 'down.sql'), 'utf8')).toContain('SELECT 1;');
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
  expect(existsSync(join(ledger.directory, folder, name, 'down.sql'))).toBe(true);
  expect(await scratches()).toEqual([]);
});

test('what is said to come next after it does: commit, then update, which builds and applies', async () => {
  extend('', '  memo   String?\n');
  expect((await ledger.run('migrate', 'generate', 'memo')).text).toMatch(
    /commit it with schema\.prisma, and \.\/run\.sh update/,
  );
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd: ledger.directory });
  git('add', '-A', 'api');
  git('commit', '-qm', 'memo');
  expect(await ledger.run('update')).toMatchObject({ exitCode: 0, result: { outcome: 'updated' } });
  const columns = `select column_name from information_schema.columns where column_name = 'memo'`;
  expect(await ledger.sql(columns)).toHaveLength(1);
});
