import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { DataMigrations } from '../support/data-migrations.ts';

/* What nobody waits for is no success: it would be recorded as done while it still runs, or never ran. */

let appliance: DataMigrations;

beforeAll(async () => {
  appliance = await DataMigrations.start();
});

beforeEach(async () => {
  await appliance.reset();
  await appliance.fill(3);
});

afterAll(async () => {
  await appliance?.stop();
});

const hash = `await new Promise((resolve) => scrypt('x', 'salt', 64, resolve));`;
const unawaited: Readonly<Record<string, string>> = {
  'a query of a transaction': `await prisma.$transaction(async (tx) => { tx.$executeRaw\`UPDATE users SET n = 1\`; });`,
  'a transaction of a function': `prisma.$transaction(async (tx) => { await tx.$executeRaw\`UPDATE users SET n = 1\`; });`,
  'a transaction of a list': `prisma.$transaction([prisma.$executeRaw\`UPDATE users SET n = 1\`]);`,
  'a batch': `batch({ table: 'users', set: 'n = 1' });`,
  'a query in a row of a batch': `await batch({ table: 'users', up: ({ id }, tx) => { tx.$executeRaw\`UPDATE users SET n = 1 WHERE id = \${id}\`; } });`,
  'a query for the rows of a batch': `await batch({ table: 'users', rows: (rows, tx) => { tx.$executeRaw\`UPDATE users SET n = 1\`; } });`,
  'a query that comes after other work': `[1, 2, 3].forEach(async (id) => { ${hash} await prisma.$executeRaw\`UPDATE users SET n = 1 WHERE id = \${id}\`; });`,
  'one in a batch that comes after other work': `await batch({ table: 'users', rows: async (rows, tx) => { rows.forEach(async ({ id }) => { ${hash} await tx.$executeRaw\`UPDATE users SET n = 1 WHERE id = \${id}\`; }); } });`,
  'one that comes while a later batch is at work': `await batch({ table: 'users', size: 1, up: ({ id }, tx) => { void (async () => { ${hash} await tx.$executeRaw\`UPDATE users SET n = 1 WHERE id = \${id}\`; })(); return { n: 2 }; } });`,
  'a query through $extends': `const db = prisma.$extends({}); db.$executeRaw\`UPDATE users SET n = 1\`;`,
};

test.for(Object.entries(unawaited))('%s without await: fails, with the mend', async ([, text]) => {
  appliance.migration(
    '001_x',
    `  async up(prisma, { batch }) { const { scrypt } = await import('node:crypto'); ${text} },`,
  );
  const { exitCode, stderr } = await appliance.run();
  expect(stderr).toMatch(/001_x: .*ended without waiting for .*: put "await" before each query/);
  expect(exitCode).toBe(1);
  expect(appliance.registry()).toEqual(['001_x failed']);
  expect(await appliance.states()).toEqual(['001_x FAILED']);
});

test('an open connection and a timer that it leaves behind are no work left over', async () => {
  appliance.migration(
    '001_x',
    `  async up(prisma) {
    await prisma.$executeRaw\`UPDATE users SET n = 1\`;
    const { Client } = await import('pg');
    await new Client({ connectionString: process.env.DATABASE_URL }).connect();
    setInterval(() => {}, 50);
  },`,
  );
  expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await appliance.tallied()).toEqual({ 1: 3 });
});

test('a query that failed behind a then() which nobody awaited: no success', async () => {
  appliance.migration(
    '001_x',
    `  async up(prisma) {
    prisma.$executeRawUnsafe('UPDATE nope SET x = 1').then(() => {});
    await new Promise((resolve) => setTimeout(resolve, 200));
  },`,
  );
  const { exitCode, stderr } = await appliance.run();
  expect(stderr).toContain('nope');
  expect(exitCode).toBe(1);
  expect(appliance.registry()).toEqual(['001_x failed']);
});

test('what is awaited is a success: a relation of one row, catch(), finally(), a batch and both transactions', async () => {
  await appliance.sql(`
    CREATE TYPE "MachineStatus" AS ENUM ('active', 'maintenance', 'retired');
    CREATE TABLE departments (id int PRIMARY KEY, name text UNIQUE NOT NULL, code text,
      created_at timestamptz(3) NOT NULL DEFAULT now(), updated_at timestamptz(3) NOT NULL DEFAULT now());
    CREATE TABLE machines (id int PRIMARY KEY, name text NOT NULL, serial text UNIQUE NOT NULL,
      location text NOT NULL DEFAULT '', status "MachineStatus" NOT NULL DEFAULT 'active', department_name text,
      department_id int REFERENCES departments, created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now());
    INSERT INTO departments (id, name) VALUES (7, 'Foundry');
    INSERT INTO machines (id, name, serial, department_id) VALUES (1, 'Press', 'P-1', 7)`);
  appliance.migration(
    '001_x',
    `  async up(prisma, { batch }) {
    const department = await prisma.machine.findUnique({ where: { id: 1 } }).department();
    if (department?.name !== 'Foundry') throw new Error('not ' + JSON.stringify(department));
    await prisma.$executeRawUnsafe('UPDATE nope SET x = 1').catch(() => {}); // holdfast:expected 42P01
    await prisma.$executeRaw\`UPDATE users SET n = n + 1\`.finally(() => {});
    await batch({ table: 'users', up: async ({ id }, tx) => { await tx.$executeRaw\`UPDATE users SET n = n + 1 WHERE id = \${id}\`; } });
    await prisma.$transaction(async (tx) => { await tx.$executeRaw\`UPDATE users SET n = n + 1\`; });
    await prisma.$transaction([prisma.$executeRaw\`UPDATE users SET n = n + 1\`]);
  },`,
  );
  const { exitCode, stderr } = await appliance.run();
  expect(stderr).toBe('');
  expect(exitCode).toBe(0);
  expect(await appliance.tallied()).toEqual({ 4: 3 });
});

test(
  'what computes for longer comes to its query all the same; what is left open is told',
  { timeout: 60_000 },
  async () => {
    // Half a second each on an idle machine, one after another.
    const compute = `await new Promise((r) => scrypt('x', 'y', 64, { N: 2 ** 17, maxmem: 2 ** 30 }, r));`;
    appliance.migration(
      '001_x',
      `  async up(prisma) {
    const { scrypt } = await import('node:crypto');
    void (async () => { for (let i = 0; i < 9; i += 1) { ${compute} } await prisma.$executeRaw\`UPDATE users SET n = n + 1\`; })();
  },`,
    );
    const { exitCode, stderr } = await appliance.run();
    expect(stderr).toContain('it ended without waiting for $executeRaw');
    expect(exitCode).toBe(1);
    appliance.migration(
      '001_x',
      `  async up() { const pg = (await import('pg')).default; await new pg.Client(process.env.DATABASE_URL).connect(); },`,
    );
    const open = await appliance.run();
    expect(open.stdout).toMatch(/it ended, and something of it was open or at work \(TCPSocketWrap\)/);
    expect(open.exitCode).toBe(0);
  },
);
