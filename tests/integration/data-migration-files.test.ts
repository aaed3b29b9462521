import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { addOne, DataMigrations, ended } from '../support/data-migrations.ts';
import { waitUntil } from '../fixtures/schema-engine/postgres-server.ts';

/* Files as people have them: what they hold is told from what they mean. */

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

const refused: Readonly<Record<string, readonly [name: string, text: string, message: RegExp]>> = {
  'a COMMIT after another statement': [
    '002_commit.sql',
    'UPDATE users SET n = 5; COMMIT;\nSELECT 1/0;',
    /002_commit\.sql: it opens or ends a transaction of its own/,
  ],
  'a ROLLBACK after another statement': [
    '003_rollback.sql',
    'UPDATE users SET n = 5; ROLLBACK;',
    /003_rollback\.sql: it opens or ends a transaction of its own/,
  ],
  'an END after another statement': [
    '004_end.sql',
    'UPDATE users SET n = 5; END;',
    /004_end\.sql: it opens or ends a transaction of its own/,
  ],
  'a name in capitals': ['005_x.SQL', 'UPDATE users SET n = 5;', /005_x\.SQL: the name must look like/],
  'an export with a call beside it': [
    '006_call.ts',
    `function check() {}\ncheck();\nexport const migration = { id: '006_call', up() {} };`,
    /006_call\.ts: it exports a migration, and calls a function .*move that call into up\(\)/,
  ],
  'a then() that prints a failure and forgets it': [
    '007_then.ts',
    'async function main() {}\nmain().then(() => {}, console.error);',
    /007_then\.ts:2: a failure would end with exit 0/,
  ],
};

test.for(Object.entries(refused))(
  '%s: refused, and nothing before it runs either',
  async ([, [name, text, message]]) => {
    appliance.migration('001_good', addOne);
    appliance.write(name, text);
    const { exitCode, stderr } = await appliance.run();
    expect(stderr).toMatch(message);
    expect(stderr).toContain('1 to mend, nothing was run');
    expect(exitCode).toBe(2);
    expect(await appliance.numbers()).toEqual([0, 0]);
    expect(appliance.registry()).toBeUndefined();
  },
);

const odd: Readonly<Record<string, readonly [name: string, text: string]>> = {
  'SQL with a mark of its encoding': ['001_x.sql', '\uFEFFUPDATE users SET n = n + 1;'],
  'CONCURRENTLY where PostgreSQL does it in a transaction': [
    '001_x.sql',
    'UPDATE users SET n = n + 1; REFRESH MATERIALIZED VIEW CONCURRENTLY seen;',
  ],
  'a function in standard SQL': [
    '001_x.sql',
    `CREATE FUNCTION one() RETURNS int LANGUAGE sql
BEGIN ATOMIC
  SELECT 2; SELECT 1;
END;
UPDATE users SET n = n + one();`,
  ],
  'a savepoint that is gone back to': [
    '001_x.sql',
    'SAVEPOINT here; UPDATE users SET n = 9;\nROLLBACK TO SAVEPOINT here; UPDATE users SET n = n + 1;',
  ],
  'a namespace beside the migration': [
    '001_x.ts',
    `namespace Names { export const table = 'users'; }
export const migration = { id: '001_x', async up(prisma: any) { await prisma.$executeRawUnsafe(\`UPDATE \${Names.table} SET n = n + 1\`); } };`,
  ],
  'a verify() that counts as the database does': [
    '001_x.ts',
    `export const migration = { id: '001_x', ${addOne} verify: async () => ({ ok: true, wrong: 0n }) };`,
  ],
};

test.for(Object.entries(odd))('%s: runs once', async ([, [name, text]]) => {
  await appliance.sql(
    'CREATE MATERIALIZED VIEW seen AS SELECT id, n FROM users; CREATE UNIQUE INDEX ON seen (id)',
  );
  appliance.write(name, text);
  expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await appliance.numbers()).toEqual([1, 1]);
  expect(appliance.registry()).toEqual(['001_x success']);
});

test('the lock file of an editor that points nowhere stops no run', async () => {
  appliance.migration('001_x', addOne);
  symlinkSync('ada@nowhere.1234:5678', join(appliance.folder, '.#001_x.ts'));
  expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await appliance.numbers()).toEqual([1, 1]);
});

test('more time than a timer can be set to is as good as that', async () => {
  appliance.migration('001_x', addOne);
  expect(await appliance.run('--timeout', '1000h')).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await appliance.numbers()).toEqual([1, 1]);
});

test('a report of verify() that is wrong is told, whatever it counts with', async () => {
  appliance.migration('001_x', `${addOne} verify: async () => ({ ok: false, wrong: 3n }),`);
  const { exitCode, stderr } = await appliance.run();
  expect(stderr).toContain('its verify() found it wrong: {"ok":false,"wrong":"3"}');
  expect(exitCode).toBe(1);
});

test('a script that was killed commits nothing behind the back of the next run', async () => {
  const write = (seconds: number) =>
    appliance.write(
      '001_script.ts',
      `import { Client } from 'pg';
const client = new Client({ connectionString: process.env.DATABASE_URL });
async function main() {
  await client.connect();
  await client.query('UPDATE users SET n = n + 1 FROM pg_sleep(${seconds})');
  await client.end();
}
main().catch((error) => { console.error(error); process.exit(1); });`,
    );
  const atWork = async () =>
    (await appliance.sql("SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'")).length;
  write(60);
  const child = appliance.start([]);
  const end = ended(child);
  await waitUntil('the script is at work', async () => (await atWork()) > 0);
  process.kill(-(child.pid ?? 0), 'SIGKILL');
  await end;
  expect(await atWork()).toBe(1);
  write(0);
  expect(await appliance.run()).toMatchObject({ exitCode: 0 });
  expect(await atWork()).toBe(0);
  expect(await appliance.numbers()).toEqual([1, 1]);
});

test('a process that a migration leaves behind, with its output, keeps nobody waiting', async () => {
  appliance.migration(
    '001_x',
    `  async up(prisma) {
    const { spawn } = await import('node:child_process');
    const left = spawn('sleep', ['25'], { detached: true, stdio: 'inherit' });
    left.unref();
    console.log('left behind: ' + left.pid);
    await prisma.$executeRaw\`UPDATE users SET n = n + 1\`;
  },`,
  );
  const { exitCode, stdout } = await appliance.run();
  const pid = Number(/left behind: (\d+)/.exec(stdout)?.[1]);
  expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toBe('sleep\x0025\0');
  process.kill(pid);
  expect(exitCode).toBe(0);
  expect(await appliance.numbers()).toEqual([1, 1]);
});

test('of a line without end the stored reason holds what somebody may read', async () => {
  appliance.migration('001_x', `  async up() { console.error('x'.repeat(1e6)); process.exit(3); },`);
  expect(await appliance.run()).toMatchObject({ exitCode: 1 });
  const [row] = await appliance.sql(
    'SELECT length(reason) AS length, left(reason, 200) AS start FROM holdfast.data_migrations',
  );
  expect(row?.['start']).toMatch(/^it ended with exit 3: xxx/);
  expect(row?.['length']).toBeLessThan(20_000);
});
