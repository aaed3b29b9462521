import { execFileSync } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Ledger } from '../support/ledger.ts';
import { installPrismaLedger } from '../support/prisma-ledger.ts';

/* Migrations that are written by the machine, from schema.prisma. All of it in a scratch database. */

let ledger: Ledger;
const folder = 'api/prisma/migrations';
const schemaFile = () => join(ledger.directory, 'api/prisma/schema.prisma');

beforeAll(async () => {
  ({ ledger } = await installPrismaLedger());
});

afterEach(() => {
  execFileSync('git', ['checkout', '-q', '--', '.'], { cwd: ledger.directory });
  execFileSync('git', ['clean', '-fdq', '--', folder], { cwd: ledger.directory });
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
