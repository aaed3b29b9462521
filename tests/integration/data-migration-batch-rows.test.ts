import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { batch, DataMigrations, ended } from '../support/data-migrations.ts';
import { waitUntil } from '../fixtures/schema-engine/postgres-server.ts';

/* What a batch does to its rows is what was meant, or it fails. */

let appliance: DataMigrations;

beforeAll(async () => {
  appliance = await DataMigrations.start();
});

beforeEach(async () => {
  await appliance.reset();
  await appliance.fill(20);
});

afterAll(async () => {
  await appliance?.stop();
});

test('a row whose key another session changes meanwhile keeps none of the others from their turn', async () => {
  const other = new Client({ connectionString: appliance.url });
  await other.connect();
  await other.query('BEGIN; UPDATE users SET id = 100000 WHERE id = 10');
  appliance.migration('001_x', batch(`table: 'users', size: 10, up: ({ n }) => ({ n: n + 1 })`));
  const end = ended(appliance.start([]));
  await waitUntil('the batch waits for the row', async () => {
    const waiting = await appliance.sql("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
    return waiting.length > 0;
  });
  await other.query('COMMIT');
  await other.end();
  expect(await end).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await appliance.tallied()).toEqual({ 1: 20 });
  expect(await appliance.sql('SELECT done::int FROM holdfast.data_migration_batches')).toEqual([
    { done: 20 },
  ]);
});

test('a value that is too long for its column is refused, never cut off', async () => {
  await appliance.sql('ALTER TABLE users ADD code varchar(5)');
  appliance.migration('001_x', batch(`table: 'users', up: () => ({ code: 'abcdefgh' })`));
  const { exitCode, stderr } = await appliance.run();
  expect(stderr).toContain('value too long');
  expect(exitCode).toBe(1);
  expect(await appliance.sql('SELECT FROM users WHERE code IS NOT NULL')).toEqual([]);
});

test('dates and times without a zone are written back as they were, whatever zone this machine is in', async () => {
  await appliance.sql(`
    CREATE TABLE days (id int PRIMARY KEY, d date, ts timestamp, d2 date, ts2 timestamp);
    INSERT INTO days VALUES (1, '2026-01-01', '2026-01-01 00:00:00'), (2, '2026-03-29', '2026-03-29 02:30:00'),
      (3, '2026-10-25', '2026-10-25 02:30:00.125'), (4, '1883-11-18', '1883-11-18 12:03:58'),
      (5, 'infinity', '-infinity'), (6, NULL, NULL)`);
  appliance.migration('001_x', batch(`table: 'days', up: ({ d, ts }) => ({ d2: d, ts2: ts })`));
  expect(await appliance.runWith({ TZ: 'Europe/Berlin' })).toMatchObject({ exitCode: 0, stderr: '' });
  expect(
    await appliance.sql(`SELECT id, d2::text, ts2::text FROM days
      WHERE d2 IS DISTINCT FROM d OR ts2 IS DISTINCT FROM ts`),
  ).toEqual([]);
});

test('a key that loses its microseconds on the way fails: it would never come to an end', async () => {
  await appliance.sql(`
    CREATE TABLE departments (id int PRIMARY KEY, name text NOT NULL, code text,
      created_at timestamptz NOT NULL UNIQUE, updated_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO departments (id, name, created_at)
      SELECT i, 'd' || i, timestamptz '2026-01-01 00:00:00.000123Z' + i * interval '1 microsecond' FROM generate_series(1, 20) i`);
  appliance.migration('001_x', batch(`model: 'Department', key: 'createdAt', up: () => ({ code: 'x' })`));
  const { exitCode, stderr } = await appliance.run('--timeout', '30s');
  expect(stderr).toMatch(/cannot tell the keys \(createdAt\) of Department apart; go by its "table"/);
  expect(exitCode).toBe(1);
  expect(await appliance.sql('SELECT FROM departments WHERE code IS NOT NULL')).toEqual([]);
});

const set = `set: 'n = 1'`;
const refused: Readonly<Record<string, readonly [body: string, message: RegExp]>> = {
  'a size of 0': [batch(`table: 'users', size: 0, ${set}`), /"size" is 0; it is a whole number/],
  'half a row': [batch(`table: 'users', size: 1.5, ${set}`), /"size" is 1\.5; it is a whole number/],
  'no time at all': [batch(`table: 'users', targetMs: 0, ${set}`), /"targetMs" is 0; it is more than 0/],
  'fewer failures than none': [
    batch(`table: 'users', maxFailures: -1, up: () => ({ n: 1 })`),
    /"maxFailures" is -1; it is 0 or more/,
  ],
  'failures of rows in one UPDATE': [
    batch(`table: 'users', maxFailures: 1, ${set}`),
    /"maxFailures" goes with "up" or "rows"/,
  ],
  'a "where" that is none': [
    batch(`table: 'users', where: 'nix = 1', ${set}`),
    /"where" of users cannot be used: column "nix" does not exist/,
  ],
  'a "set" that goes on': [
    batch(`table: 'users', set: 'n = 1 WHERE id = 3'`),
    /"set" of users cannot be used: syntax error at or near "WHERE"; it is what stands between SET and WHERE/,
  ],
  'a "set" of two statements': [
    batch(`table: 'users', set: 'n = 1; UPDATE users SET n = 2'`),
    /"set" of users cannot be used: /,
  ],
  'a table in other letters': [batch(`table: 'Users', ${set}`), /there is no table Users \(there is users\)/],
  'a batch inside of $transaction': [
    `  async up(prisma, { batch }) {
    await prisma.$transaction(async (tx) => { await tx.$executeRaw\`UPDATE users SET name = 'held'\`; await batch({ table: 'users', set: 'n = 1' }); });
  },`,
    /it begins inside of \$transaction, which it is no part of/,
  ],
  'changes for fewer rows than there are': [
    batch(`table: 'users', rows: (rows) => rows.slice(1).map(() => ({ n: 1 }))`),
    /"rows" returned 19 changes for 20 rows; give one for each/,
  ],
};

test.for(Object.entries(refused))(
  '%s: refused with the mend, and no row changes',
  async ([, [body, message]]) => {
    appliance.migration('001_x', body);
    const { exitCode, stderr } = await appliance.run('--timeout', '30s');
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(1);
    expect(await appliance.tallied()).toEqual({ 0: 20 });
  },
);

test('two batches at once are refused: they would share one transaction', async () => {
  await appliance.sql(
    'CREATE TABLE others (id int PRIMARY KEY, n int NOT NULL); INSERT INTO others VALUES (1, 0)',
  );
  appliance.migration(
    '001_x',
    `  async up(_, { batch }) {
    await Promise.all(['users', 'others'].map((table) => batch({ table, size: 5, up: async ({ n }) => ({ n: n + 1 }) })));
  },`,
  );
  const { exitCode, stderr } = await appliance.run();
  expect(stderr).toContain('"others" begins while "users" is at work; put "await" before each batch');
  expect(exitCode).toBe(1);
  expect(await appliance.sql('SELECT n FROM others')).toEqual([{ n: 0 }]);
});

test("a condition may end in a comment, and both go by the table's own name", async () => {
  await appliance.sql(
    'CREATE TABLE "odd.name" (id int PRIMARY KEY, n int NOT NULL); INSERT INTO "odd.name" VALUES (1, 0)',
  );
  appliance.migration(
    '001_x',
    `  async up(_, { batch }) {
    await batch({ table: 'users', where: 'users.n = 0 -- only new ones', set: 'n = users.n + (SELECT count(*) FROM users o WHERE o.id = users.id) -- one' });
    await batch({ table: 'odd.name', up: () => ({ n: 1 }) });
    await batch({ table: 'public.users', name: 'again', select: ['n'], up: ({ id, n }) => { if (!(id > 0)) throw new Error('no key'); return { n: n + 1 }; } });
  },`,
  );
  expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await appliance.tallied()).toEqual({ 2: 20 });
  expect(await appliance.sql('SELECT n FROM "odd.name"')).toEqual([{ n: 1 }]);
});

test('tables that inherit from one are refused with it: their rows are not told apart; ONLY leaves them out', async () => {
  await appliance.sql(`CREATE TABLE parents (id int PRIMARY KEY, name text, slug text); CREATE TABLE children () INHERITS (parents);
    INSERT INTO parents SELECT i, 'parent ' || i FROM generate_series(1, 5) i; INSERT INTO children SELECT i, 'child ' || i FROM generate_series(1, 5) i`);
  appliance.migration('001_x', batch(`table: 'parents', up: ({ name }) => ({ slug: name })`));
  const { exitCode, stderr } = await appliance.run();
  expect(stderr).toMatch(
    /children inherits from parents, whose key does not tell .* go by the table "ONLY parents"/,
  );
  expect(exitCode).toBe(1);
  appliance.migration(
    '001_x',
    `  async up(_, { batch }) {
    await batch({ table: 'ONLY parents', up: ({ name }) => ({ slug: name }) });
    await batch({ table: 'only parents', name: 'set', set: "name = upper(slug)" });
  },`,
  );
  expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
  expect(
    await appliance.sql(`SELECT tableoid::regclass::text AS t, count(*)::int AS rows FROM parents
      WHERE slug = lower(name) OR slug IS NULL GROUP BY 1, slug IS NULL ORDER BY 1`),
  ).toEqual([
    { t: 'children', rows: 5 },
    { t: 'parents', rows: 5 },
  ]);
});

test('rows that row-level security hides are refused, never left out', async () => {
  await appliance.sql(`DO $$ BEGIN CREATE ROLE app LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
    GRANT CREATE ON DATABASE inventory TO app; GRANT ALL ON users TO app;
    CREATE TABLE free (id int PRIMARY KEY, n int NOT NULL); INSERT INTO free VALUES (1, 0); GRANT ALL ON free TO app;
    ALTER TABLE users ENABLE ROW LEVEL SECURITY; CREATE POLICY two ON users USING (id <= 2)`);
  const env = { DATABASE_URL: appliance.url.replace('postgres@', 'app@') };
  const bodies = {
    [batch(`table: 'users', ${set}`)]: /row-level security hides rows of users from this role.* BYPASSRLS/,
    [batch(`table: 'free', set: 'n = (SELECT count(*) FROM users)'`)]:
      /row-level security policy for table "users"/,
    [`  async up(prisma) { await prisma.$executeRaw\`UPDATE users SET n = 1\`; },`]:
      /row-level security policy for table "users"/,
  };
  for (const [body, message] of Object.entries(bodies)) {
    appliance.migration('001_x', body);
    const { exitCode, stderr } = await appliance.runWith(env);
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(1);
  }
  expect(await appliance.tallied()).toEqual({ 0: 20 });
  expect(await appliance.sql('SELECT n FROM free')).toEqual([{ n: 0 }]);
});
