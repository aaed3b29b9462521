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

const run = (body: string) => `  async up(prisma, { batch }) { ${body} },`;

test('what a COMMIT would find, the dry run finds: deferred constraints', async () => {
  await appliance.sql(
    'ALTER TABLE users ADD boss int REFERENCES users DEFERRABLE INITIALLY DEFERRED, ADD u int UNIQUE DEFERRABLE INITIALLY DEFERRED',
  );
  const wrong: readonly (readonly [body: string, constraint: string])[] = [
    ['await prisma.$executeRaw`UPDATE users SET boss = 77`;', 'users_boss_fkey'],
    [
      'await prisma.$transaction(async (tx) => { await tx.$executeRaw`UPDATE users SET u = 1`; });',
      'users_u_key',
    ],
    [`await batch({ table: 'users', set: 'boss = 77' });`, 'users_boss_fkey'],
  ];
  for (const [body, constraint] of wrong) {
    appliance.migration('001_x', run(body));
    const { exitCode, stderr } = await appliance.run('--dry-run');
    expect(stderr).toContain(constraint);
    expect(exitCode).toBe(1);
  }
  const both = (client: string) =>
    `await ${client}.$executeRaw\`UPDATE users SET boss = 77\`; await ${client}.$executeRaw\`UPDATE users SET boss = NULL\`;`;
  appliance.migration(
    '001_x',
    run(`
    // holdfast:expected 23503
    await prisma.$executeRaw\`UPDATE users SET boss = 77\`.catch(() => {});
    await prisma.$transaction(async (tx) => { ${both('tx')} });
    await prisma.$transaction(async (tx) => { ${both('tx')} });`),
  );
  expect(await appliance.run('--dry-run')).toMatchObject({ exitCode: 0, stderr: '' });
});

test('what reaches out of its session is not sent, and told', async () => {
  await appliance.sql('CREATE EXTENSION dblink');
  const out = `SELECT dblink_exec('dbname=inventory', 'UPDATE users SET n = 77')`;
  appliance.migration('001_x', run(`await prisma.$queryRawUnsafe(${JSON.stringify(out)}).catch(() => {});`));
  appliance.write('002_y.sql', `COPY users TO '/nowhere/users';`);
  for (const id of ['1', '2']) {
    const { exitCode, stderr } = await appliance.run('--dry-run', '--only', id);
    expect(stderr).toMatch(
      /it cannot be tried: it says "(?:dblink_exec\(|COPY users TO ')", which reaches out/,
    );
    expect(exitCode).toBe(1);
  }
  expect(await appliance.numbers()).toEqual([0, 0]);
  appliance.migration('001_x', run('await prisma.$queryRaw`SELECT 1`;'));
  const { stdout } = await appliance.run('--dry-run', '--only', '1');
  expect(stdout).not.toContain('dblink is installed');
  // Who may not replace its functions is told that it is there.
  await appliance.sql('CREATE ROLE plain LOGIN; GRANT CREATE ON DATABASE inventory TO plain');
  const url = new URL(appliance.url);
  url.username = 'plain';
  const told = await appliance.runWith({ DATABASE_URL: url.href }, '--dry-run', '--only', '1');
  expect(told.stdout).toContain('dblink is installed: what a function or a trigger writes through it');
  await appliance.sql('REVOKE ALL ON DATABASE inventory FROM plain; DROP ROLE plain');
});

const ownOptions: Readonly<Record<string, string>> = {
  'a script': `import pg from 'pg';
    const { hostname, port, username, pathname } = new URL(process.env.DATABASE_URL);
    const c = new pg.Client({ host: hostname, port: Number(port), user: username, database: pathname.slice(1), options: '-c search_path=public' });
    async function main() { await c.connect(); await c.query('UPDATE users SET n = 77'); await c.end(); }
    main();`,
  'a module, by an address of its own': `import pg from 'pg';
    export const migration = { id: '001_x', async up() { const pool = new pg.Pool({ connectionString: process.env.DIRECT_URL }); await pool.query('UPDATE users SET n = 77'); await pool.end(); } };`,
  'the top level of a file that is only looked at': `import pg from 'pg';
    const pool = new pg.Pool({ connectionString: process.env.DIRECT_URL }); await pool.query('UPDATE users SET n = 77'); await pool.end();
    export const migration = { id: '001_x', async up() {} };`,
};

test.for(Object.entries(ownOptions))('read-only, whatever options a client has: %s', async ([, text]) => {
  appliance.write('001_x.ts', text);
  const DIRECT_URL = `${appliance.url}?options=-c%20default_transaction_read_only%3Doff`;
  const { stdout, stderr } = await appliance.runWith({ DIRECT_URL }, '--dry-run');
  expect(stdout + stderr).toMatch(
    /it got as far as its first write|cannot execute UPDATE in a read-only transaction/,
  );
  expect(await appliance.numbers()).toEqual([0, 0]);
});

test.for([
  `SELECT "dblink_exec"($c, 'UPDATE users SET n = 77')`,
  `SELECT dblink_exec /* it */ ($c, 'UPDATE users SET n = 77')`,
  `DO $$ BEGIN EXECUTE 'SELECT dbl' || 'ink_exec(' || quote_literal($c) || ', ''UPDATE users SET n = 77'')'; END $$`,
  `SELECT pg_create_physical_replication_slot('p1')`,
  `COPY users TO $$/nowhere/users$$`,
  `COPY users TO /* there */ '/nowhere/users'`,
])('what reaches out is not reached, however it is spelled: %s', async (sql) => {
  await appliance.sql('CREATE EXTENSION dblink');
  const to = `host=127.0.0.1 port=${new URL(appliance.url).port} dbname=inventory user=postgres`;
  appliance.write('001_x.sql', sql.replace('$c', `'${to}'`));
  const { exitCode, stderr } = await appliance.run('--dry-run');
  const slots = await appliance.sql('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
  expect(slots).toEqual([]);
  expect(stderr).toMatch(/it cannot be tried: .*reaches out of the session/);
  expect(exitCode).toBe(1);
  expect(await appliance.numbers()).toEqual([0, 0]);
});

test('one that builds on another pending one: told that it was tried without it', async () => {
  appliance.migration('001_x', run('await prisma.$executeRaw`ALTER TABLE users ADD slug text`;'));
  appliance.migration('002_y', run('await prisma.$executeRaw`UPDATE users SET slug = name`;'));
  const { exitCode, stderr } = await appliance.run('--dry-run');
  expect(stderr).toMatch(/002_y would fail: .*slug.*tried without what 001_x would have done.*--only 001_x/);
  expect(exitCode).toBe(1);
});

test('what only works outside of a transaction: cannot be tried, and that is said', async () => {
  appliance.migration('001_x', run('await prisma.$executeRaw`CREATE INDEX CONCURRENTLY ON users (n)`;'));
  const { stderr } = await appliance.run('--dry-run');
  expect(stderr).toMatch(
    /001_x cannot be tried: .*CONCURRENTLY cannot run inside a transaction block.*says nothing of a run for real/,
  );
  appliance.migration('001_x', run('await prisma.$executeRaw`LOCK TABLE users`;'));
  expect((await appliance.run('--dry-run')).stderr).toContain(
    'LOCK TABLE can only be used in transaction blocks',
  );
});

test('a sequence that TRUNCATE restarts is taken back, and no warning says otherwise', async () => {
  appliance.migration('001_x', run('await prisma.$executeRaw`TRUNCATE users RESTART IDENTITY`;'));
  const { stdout, exitCode } = await appliance.run('--dry-run');
  expect(exitCode).toBe(0);
  expect(stdout).not.toContain('sequence');
});
