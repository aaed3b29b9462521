import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { DataMigrations } from '../support/data-migrations.ts';

/* What a dry run holds back, and what it leaves as it is. */

let appliance: DataMigrations;

beforeAll(async () => {
  appliance = await DataMigrations.start();
});

beforeEach(async () => {
  await appliance.reset();
  await appliance.fill(2);
});

afterAll(async () => {
  await appliance?.stop();
});

const ownClient = `import { Client } from 'pg';
const client = new Client({ connectionString: process.env.DATABASE_URL });
`;

test('a module with a client of its own may read in a dry run; the server refuses what it writes', async () => {
  appliance.write(
    '001_own.ts',
    `${ownClient}export const migration = { id: '001_own', async up() {
  await client.connect();
  try {
    await client.query('SELECT FROM users');
    await client.query('UPDATE users SET n = 9');
  } finally { await client.end(); }
} };`,
  );
  const { exitCode, stderr } = await appliance.run('--dry-run');
  expect(stderr).toMatch(/001_own would fail: .*cannot execute UPDATE in a read-only transaction/);
  expect(exitCode).toBe(1);
  expect(await appliance.numbers()).toEqual([0, 0]);
  expect(await appliance.run()).toMatchObject({ exitCode: 0 });
  expect(await appliance.numbers()).toEqual([9, 9]);
});

test('a module that writes when it is loaded is refused at the check, with nothing written', async () => {
  appliance.write(
    '001_loaded.ts',
    `${ownClient}await client.connect();
await client.query('UPDATE users SET n = n + 1').finally(() => client.end());
export const migration = { id: '001_loaded', up() {} };`,
  );
  for (const args of [['--dry-run'], []]) {
    const { exitCode, stderr } = await appliance.run(...args);
    expect(stderr).toMatch(/001_loaded\.ts.*: it does not load: .*read-only transaction/);
    expect(exitCode).toBe(2);
    expect(await appliance.numbers()).toEqual([0, 0]);
  }
});

const tried: Readonly<Record<string, readonly [body: string, changes: readonly object[]]>> = {
  'a column that is added and filled': [
    `await prisma.$executeRaw\`ALTER TABLE users ADD slug text\`; await prisma.$executeRaw\`UPDATE users SET slug = name\`;`,
    [expect.objectContaining({ table: 'users', inserted: 0, updated: 2 }) as object],
  ],
  'a table that is made and filled': [
    `await prisma.$executeRaw\`CREATE TABLE z (id int PRIMARY KEY)\`; await prisma.$executeRaw\`INSERT INTO z VALUES (1)\`;`,
    [expect.objectContaining({ table: 'z', inserted: 1, updated: 0 }) as object],
  ],
  'a table with a column named t': [
    `await prisma.$executeRaw\`UPDATE odd SET t = 'b'\`;`,
    [
      {
        ...{ table: 'odd', inserted: 0, updated: 1, deleted: 0 },
        samples: [{ before: { id: 1, t: 'a' }, after: { id: 1, t: 'b' } }],
      },
    ],
  ],
};

test.for(Object.entries(tried))('%s: told, and taken back', async ([, [body, changes]]) => {
  await appliance.sql("CREATE TABLE odd (id int PRIMARY KEY, t text); INSERT INTO odd VALUES (1, 'a')");
  appliance.migration('001_x', `  async up(prisma) { ${body} },`);
  const { exitCode, stderr, events } = await appliance.run('--dry-run', '--json', '--timeout', '20s');
  expect(stderr).toBe('');
  expect(exitCode).toBe(0);
  expect(events).toContainEqual(expect.objectContaining({ type: 'migration-planned', changes }));
  expect(
    await appliance.sql(`SELECT t, to_regclass('z') AS z,
      (SELECT count(*)::int FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'slug') AS slugs FROM odd`),
  ).toEqual([{ t: 'a', z: null, slugs: 0 }]);
});

test('what limits a batch of a dry run does not limit what comes after it', async () => {
  await appliance.sql(`
    ALTER DATABASE ${appliance.database} SET statement_timeout = '7min';
    ALTER DATABASE ${appliance.database} SET lock_timeout = '6min'`);
  appliance.migration(
    '001_x',
    `  async up(prisma, { batch }) {
    await batch({ table: 'users', set: 'n = 1' });
    const [row] = await prisma.$queryRaw\`SELECT current_setting('statement_timeout') || ' ' || current_setting('lock_timeout') AS now\`;
    if (row.now !== '7min 6min') throw new Error('it is ' + row.now);
  },`,
  );
  expect(await appliance.run('--dry-run')).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await appliance.numbers()).toEqual([0, 0]);
});
