import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { batch, DataMigrations, ended, untilItSays } from '../support/data-migrations.ts';

/* A batch over a model reads and writes the one table that Prisma means, in the words that Prisma has for it. */

let appliance: DataMigrations;

const models = `
enum Role {
  ADMIN @map("user")
  USER  @map("admin") // crossed }
  GUEST

  @@schema("public")
}
model User {
  id        Int      @id @default(autoincrement())
  fullName  String?  @map("name")
  n         Int      @default(0)
  meta      Json?
  role      Role     @default(USER)
  before    Role[]
  price     Decimal? @db.Decimal(30, 20)
  updatedAt DateTime @default(now()) @updatedAt @map("updated_at") @db.Timestamptz(6)

  @@map("users")
  @@schema("public")
}
model BillingUser {
  id Int @id
  n  Int @default(0)

  @@map("users")
  @@schema("billing")
}
model Account {
  id Int @id
  n  Int @default(0)

  @@map("accounts")
  @@schema("public")
}
`;

beforeAll(async () => {
  appliance = await DataMigrations.start();
  const file = join(appliance.backend, 'prisma/schema.prisma');
  const [generator = ''] = /^generator[^}]*\}/m.exec(readFileSync(file, 'utf8')) ?? [];
  const datasource = 'datasource db {\n  provider = "postgresql"\n  schemas = ["public", "billing"]\n}\n';
  writeFileSync(file, `${generator}\n${datasource}${models}`);
  const prisma = join(appliance.backend, 'node_modules/prisma/build/index.js');
  await execa(process.execPath, [prisma, 'generate'], {
    cwd: appliance.backend,
    env: { PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true', PRISMA_HIDE_UPDATE_MESSAGE: '1' },
  });
});

beforeEach(async () => {
  await appliance.reset();
  await appliance.sql(`
    DROP TABLE users;
    CREATE TYPE "Role" AS ENUM ('admin', 'user', 'GUEST');
    CREATE TABLE users (id serial PRIMARY KEY, name text, n int NOT NULL DEFAULT 0, meta jsonb, role "Role" NOT NULL DEFAULT 'user',
      before "Role"[] NOT NULL DEFAULT '{}', price numeric(30,20), updated_at timestamptz NOT NULL DEFAULT '2020-01-01 00:00:00.123456Z');
    INSERT INTO users (name, meta, before, price) SELECT 'u' || i, '{"a": [1]}', '{admin,user}', 1.5 FROM generate_series(1, 3) i;
    CREATE SCHEMA billing;
    CREATE TABLE billing.users (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
    INSERT INTO billing.users SELECT i FROM generate_series(1, 5) i`);
});

afterAll(async () => {
  await appliance?.stop();
});

test('@@schema: the rows that were read are those that are written, and not those of a namesake', async () => {
  appliance.migration('001_x', batch(`model: 'BillingUser', up: ({ n }) => ({ n: n + 1 })`));
  expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await appliance.sql('SELECT n, count(*)::int AS rows FROM billing.users GROUP BY n')).toEqual([
    { n: 1, rows: 5 },
  ]);
  expect(await appliance.tallied()).toEqual({ 0: 3 });
});

test("?schema= in the URL: SQL, tables and Prisma's own are in that schema, as for prisma migrate", async () => {
  await appliance.sql(`CREATE SCHEMA "my app"; CREATE TABLE "my app".users (LIKE public.users INCLUDING ALL);
    INSERT INTO "my app".users (name) VALUES ('right');`);
  appliance.write('001_x.sql', 'UPDATE users SET n = n + 1;');
  appliance.migration(
    '002_x',
    `  async up(prisma, { batch }) {
    await prisma.$executeRaw\`UPDATE users SET n = n + 10\`;
    await batch({ table: 'users', up: ({ n }) => ({ n: n + 100 }) });
    await batch({ table: 'users', name: 'set', set: 'n = users.n + 1000' });
  },`,
  );
  const env = { DATABASE_URL: `${appliance.url}?schema=my%20app` };
  expect(await appliance.runWith(env, '--dry-run', '--only', '2')).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/users: 3 updated\s+\{"n":0,.*"right"/),
  });
  expect(await appliance.runWith(env)).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await appliance.sql('SELECT n FROM "my app".users')).toEqual([{ n: 1111 }]);
  expect(await appliance.tallied()).toEqual({ 0: 3 });
});

test('a model without a schema of its own is where Prisma looks for it, whatever the search path of the role', async () => {
  await appliance.run('--status');
  await appliance.sql('ALTER DATABASE inventory SET search_path = billing, public');
  appliance.migration('001_x', batch(`model: 'User', up: ({ n }) => ({ n: n + 1 })`));
  expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await appliance.sql('SELECT DISTINCT n FROM public.users')).toEqual([{ n: 1 }]);
  expect(await appliance.sql('SELECT DISTINCT n FROM billing.users')).toEqual([{ n: 0 }]);
});

test('a row given back stays as it was to the last digit; an enum goes by the names of the schema', async () => {
  await appliance.sql(
    `UPDATE users SET meta = 'null' WHERE id = 3; UPDATE users SET price = 1.12345678901234567890 WHERE id = 3`,
  );
  appliance.migration(
    '001_x',
    batch(
      `model: 'User', up: (row) => {
        if (row.id === 2) { row.meta.a.push(2); return { ...row, role: 'ADMIN', before: ['GUEST', 'USER'], n: 1 }; }
        return { ...row, n: 1 };
      }`,
    ),
  );
  expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
  const same = { name: expect.any(String), n: 1, price: '1.50000000000000000000', at: '.123456' };
  expect(
    await appliance.sql(
      `SELECT name, n, meta::text, role::text, before::text, price::text, to_char(updated_at, '.US') AS at FROM users ORDER BY id`,
    ),
  ).toEqual([
    { ...same, meta: '{"a": [1]}', role: 'user', before: '{admin,user}' },
    { ...same, meta: '{"a": [1, 2]}', role: 'user', before: '{GUEST,admin}' },
    { ...same, meta: 'null', role: 'user', before: '{admin,user}', price: '1.12345678901234567890' },
  ]);
  appliance.migration('002_x', batch(`model: 'User', up: () => ({ role: 'admin' })`));
  const { exitCode, stderr } = await appliance.run();
  expect(stderr).toContain('row id=1: "role" is "admin", and there are ADMIN, USER, GUEST');
  expect(exitCode).toBe(1);
});

test("a role's statement_timeout ends no batch by its count of a model: that is only for the progress", async () => {
  await appliance.sql(
    'CREATE TABLE accounts (id int PRIMARY KEY, n int NOT NULL); INSERT INTO accounts VALUES (1, 0)',
  );
  await appliance.run('--status');
  await appliance.sql(`ALTER DATABASE inventory SET statement_timeout = '1s'`);
  appliance.migration(
    '001_x',
    `  async up(_, { batch }) { console.log('at it'); await batch({ model: 'Account', up: () => ({ n: 1 }) }); },`,
  );
  const other = new Client({ connectionString: appliance.url, statement_timeout: 0 });
  await other.connect();
  await other.query('BEGIN; LOCK TABLE accounts');
  const child = appliance.start(['--json']);
  const end = ended(child);
  await untilItSays(child, 'at it');
  await new Promise((resolve) => setTimeout(resolve, 2000));
  await other.query('COMMIT');
  await other.end();
  expect(await end).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await appliance.sql('SELECT n FROM accounts')).toEqual([{ n: 1 }]);
});
