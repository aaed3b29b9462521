import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { addOne, batch, DataMigrations, ended, untilItSays } from '../support/data-migrations.ts';

/* What is recorded is what happened: nothing runs twice, and nothing counts as done that is not. */

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

test('a registry is taken over as a whole or not at all', async () => {
  appliance.migration('001_one', addOne);
  appliance.migration('002_two', addOne);
  const register = (executionTimeMs: number) =>
    writeFileSync(
      appliance.registryFile,
      JSON.stringify({
        migrations: [
          { id: '001_one', appliedAt: '2026-01-12T09:00:00.000Z', executionTimeMs: 12, status: 'success' },
          { id: '002_two', appliedAt: '2026-01-12T09:00:00.000Z', executionTimeMs, status: 'success' },
        ],
      }),
    );
  register(1e30);
  expect((await appliance.run()).exitCode).not.toBe(0);
  register(12);
  expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await appliance.tallied()).toEqual({ 0: 20 });
  expect(await appliance.states()).toEqual(['001_one COMPLETED', '002_two COMPLETED']);
  expect(appliance.registry()).toEqual(['001_one success', '002_two success']);
});

const withoutDown: Readonly<Record<string, readonly [name: string, text: string, message: RegExp]>> = {
  'a file of SQL': ['001_x.sql', 'UPDATE users SET n = n + 1;', /it is a file of SQL, which has no down/],
  'an object without a down()': [
    '001_x.ts',
    `export const migration = { id: '001_x', ${addOne} };`,
    /it has no down\(\)/,
  ],
  'one that is not rollbackable any more': [
    '001_x.ts',
    `export const migration = { id: '001_x', ${addOne} rollbackable: false, async down() {} };`,
    /not rollbackable/,
  ],
  'a script without a "down"': [
    '001_x.ts',
    `import { Client } from 'pg';
const client = new Client({ connectionString: process.env.DATABASE_URL });
async function main() { await client.connect(); await client.query('UPDATE users SET n = n + 1'); await client.end(); }
main().catch((error) => { console.error(error); process.exit(1); });`,
    /it is a script without a "down"/,
  ],
};

test.for(Object.entries(withoutDown))(
  '--down of %s: refused before anything is changed',
  async ([, [name, text, message]]) => {
    appliance.write(name, text);
    expect(await appliance.run()).toMatchObject({ exitCode: 0 });
    const { exitCode, stderr } = await appliance.run('--down', '1');
    expect(stderr).toMatch(message);
    expect(stderr).toContain('Nothing was changed');
    expect(exitCode).toBe(2);
    expect(await appliance.tallied()).toEqual({ 1: 20 });
    expect(await appliance.states()).toEqual(['001_x COMPLETED']);
    expect(appliance.registry()).toEqual(['001_x success']);
    expect(await appliance.run()).toMatchObject({ exitCode: 0 });
    expect(await appliance.tallied()).toEqual({ 1: 20 });
  },
);

test('a down() that ended half-way: no run goes over it, and --down goes on with it', async () => {
  const write = (down: string) =>
    appliance.migration(
      '001_x',
      `${batch(`table: 'users', size: 5, up: ({ n }) => ({ n: n + 1 })`)}
  async down(_, { batch }) { await batch({ table: 'users', size: 5, up: ({ id, n }) => { ${down} return { n: n - 1 }; } }); },`,
    );
  write(`if (id === 15) throw new Error('not 15');`);
  await appliance.run();
  expect(await appliance.run('--down', '1')).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('not 15'),
  });
  const half = await appliance.tallied();
  expect(Object.keys(half)).toEqual(['0', '1']);

  const { exitCode, stderr } = await appliance.run();
  expect(stderr).toContain(
    'its down() ended half-way. --down 001_x goes on with that, --rerun 001_x does all',
  );
  expect(exitCode).toBe(1);
  expect(await appliance.tallied()).toEqual(half);

  write('');
  expect(await appliance.run('--down', '1')).toMatchObject({ exitCode: 0 });
  expect(await appliance.tallied()).toEqual({ 0: 20 });
  expect(await appliance.run()).toMatchObject({ exitCode: 0 });
  expect(await appliance.tallied()).toEqual({ 1: 20 });
});

const returned: Readonly<Record<string, readonly [result: string, metadata: string | null]>> = {
  'a NUL, which no jsonb holds': [String.raw`{ metadata: 'a\u0000b' }`, 'a\uFFFDb'],
  'half a surrogate pair': [String.raw`{ metadata: 'a\ud800b' }`, 'a\uFFFDb'],
  'what only looks like an escaped NUL': [String.raw`{ metadata: 'a\\u0000b' }`, String.raw`a\u0000b`],
  'half a record': ['{ recordsProcessed: 1.5 }', null],
};

test.for(Object.entries(returned))(
  'an up() that returns %s: a success is recorded, and it runs once',
  async ([, [result, metadata]]) => {
    appliance.migration(
      '001_x',
      `  async up(prisma) { await prisma.$executeRaw\`UPDATE users SET n = n + 1\`; return ${result}; },`,
    );
    for (let run = 0; run < 2; run += 1) {
      expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
      expect(appliance.registry()).toEqual(['001_x success']);
      expect(await appliance.tallied()).toEqual({ 1: 20 });
    }
    expect(
      await appliance.sql(`SELECT result ->> 'metadata' AS metadata FROM holdfast.data_migrations`),
    ).toEqual([{ metadata }]);
  },
);

test('a failure whose text holds a NUL is recorded', async () => {
  appliance.migration('001_x', String.raw`  async up() { throw new Error('broken\0off'); },`);
  const { exitCode, stderr } = await appliance.run();
  expect(stderr).toContain('001_x: broken');
  expect(exitCode).toBe(1);
  expect(appliance.registry()).toEqual(['001_x failed']);
  expect(await appliance.sql('SELECT state, reason FROM holdfast.data_migrations')).toEqual([
    { state: 'FAILED', reason: expect.stringMatching(/^broken\uFFFDoff/) },
  ]);
});

test('a row that fails with a NUL in the reason is kept, and the others go through', async () => {
  appliance.migration(
    '001_x',
    batch(
      String.raw`table: 'users', maxFailures: 1, up: ({ id }) => { if (id === 7) throw new Error('seven\0!'); return { n: 1 }; }`,
    ),
  );
  expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await appliance.tallied()).toEqual({ 0: 1, 1: 19 });
  expect(await appliance.sql('SELECT reason FROM holdfast.data_migration_failures')).toEqual([
    { reason: 'row id=7: seven\uFFFD!' },
  ]);
});

test('a status right after a kill says that it was interrupted, and while it runs that it is running', async () => {
  appliance.migration(
    '001_x',
    `  async up(prisma) { console.log('at it'); await prisma.$executeRaw\`SELECT pg_sleep(20)\`; },`,
  );
  const child = appliance.start([]);
  const end = ended(child);
  await untilItSays(child, 'at it');
  expect((await appliance.run('--status')).stdout).toContain('001_x (running)');
  process.kill(-(child.pid ?? 0), 'SIGKILL');
  await end;
  await expect
    .poll(async () => (await appliance.run('--status')).stdout, { timeout: 10_000 })
    .toContain('001_x (interrupted; the next run goes on with it)');
});

test('a role whose sessions may not stand still: the lock and the batch outlive that', async () => {
  await appliance.sql(
    `ALTER DATABASE inventory SET idle_session_timeout = '1s'; ALTER DATABASE inventory SET idle_in_transaction_session_timeout = '1s'`,
  );
  const slowly =
    'async ({ id, n }) => { if (id === 3) await new Promise((r) => setTimeout(r, 2500)); return { n: n + 1 }; }';
  appliance.migration('001_x', batch(`table: 'users', size: 5, up: ${slowly}`));
  expect(await appliance.run()).toMatchObject({ exitCode: 0 });
  expect(await appliance.tallied()).toEqual({ 1: 20 });
});

test('SQL with a text of megabytes', async () => {
  appliance.write(
    '001_x.sql',
    `UPDATE users SET name = '${"it''s ".repeat(2_400_000)}' WHERE id = 1; UPDATE users SET n = 1;`,
  );
  expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await appliance.tallied()).toEqual({ 1: 20 });
});

test('a user who may only read: told so, and not to GRANT', async () => {
  await appliance.sql('ALTER DATABASE inventory SET default_transaction_read_only = on');
  appliance.migration('001_x', addOne);
  const { exitCode, stderr } = await appliance.run();
  expect(stderr).toMatch(/read-only transaction.*This server is a standby, or this user may only read/);
  expect(exitCode).toBe(2);
});

test('a new installation of a release that has contracted: what comes before that is not needed; elsewhere it is run', async () => {
  const books = `CREATE TABLE _prisma_migrations (migration_name text, finished_at timestamptz, rolled_back_at timestamptz);
    INSERT INTO _prisma_migrations VALUES ('0008_drop', now(), NULL)`;
  const reads = `requiredBefore: '0008_drop', async up(prisma) { await prisma.$executeRaw\`UPDATE users SET name = dropped\`; },`;
  await appliance.sql(books);
  appliance.migration('001_first', `async up() { throw new Error('not yet'); },`);
  appliance.migration('002_reads', reads);
  expect(await appliance.run()).toMatchObject({ exitCode: 1 });
  appliance.migration('001_first', addOne);
  const { exitCode, stdout } = await appliance.run();
  expect(exitCode).toBe(0);
  expect(stdout).toContain('not needed: 0008_drop, which it is to come before, was applied before');
  expect(await appliance.states()).toEqual(['001_first COMPLETED', '002_reads NOT_NEEDED']);

  // Dropped by hand, after data migrations had been run here: nobody says that it was not needed.
  await appliance.reset();
  appliance.migration('001_first', addOne);
  await appliance.run();
  await appliance.sql(books);
  appliance.migration('002_reads', reads);
  expect(await appliance.run()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('dropped') });
});
