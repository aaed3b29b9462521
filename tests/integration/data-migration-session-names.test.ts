import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { identify } from '../../orchestrator/lib/processes.ts';
import { waitFor } from '../../orchestrator/lib/wait.ts';
import { addOne, DataMigrations, ended, untilItSays } from '../support/data-migrations.ts';
import { oneIn } from '../support/thoroughness.ts';

/* Whose a session on the server is does not hang on a name that others set; and no process outlives its runner. */

let appliance: DataMigrations;

beforeAll(async () => {
  appliance = await DataMigrations.start();
});

beforeEach(async () => {
  await appliance.reset();
  await appliance.sql("INSERT INTO users (name) VALUES ('Ada'), ('Alan')");
});

afterAll(async () => {
  await appliance?.stop();
});

const up = (body: string) => `  async up(prisma, { batch }) { ${body} },`;
const slowly = 'UPDATE users SET n = n + 1 WHERE pg_sleep(1.5) IS NOT NULL';
const named = (name: string) => `${appliance.url}?application_name=${name}`;
const pool = `import { Pool } from 'pg';
const pool = new Pool({ connectionString: process.env.DATABASE_URL, application_name: 'backfill' });
`;
const work = `await pool.query('${slowly}'); await pool.end();`;
const killed: Readonly<Record<string, readonly [name: string, text: string]>> = {
  'the address': [
    '001_x.ts',
    `export const migration = { id: '001_x', async up(prisma) { await prisma.$executeRaw\`${slowly}\`; } };`,
  ],
  'a module': ['001_x.ts', `${pool}export const migration = { id: '001_x', async up() { ${work} } };`],
  'a second copy of pg': [
    '001_x.ts',
    `${pool.replace("'pg'", "'./lib/node_modules/pg/lib/index.js'").replace('{ Pool }', 'pg').replace('new Pool', 'new pg.Pool')}export const migration = { id: '001_x', async up() { ${work} } };`,
  ],
  'a script': [
    '001_x.cts',
    `${pool.replace(/import (.*) from 'pg'/, "const $1 = require('pg')")}async function main() { ${work} }\nvoid main();`,
  ],
};

test.for(oneIn(2, Object.entries(killed)))(
  'named by %s: what a killed one left at work is ended first',
  { timeout: 60_000 },
  async ([, [name, text]]) => {
    appliance.write(name, text);
    const copy = join(appliance.folder, 'lib/node_modules/pg');
    cpSync(join(import.meta.dirname, '../../backend/node_modules/pg'), copy, { recursive: true });
    const env = name === '001_x.ts' && !text.includes('Pool') ? { DATABASE_URL: named('inventory') } : {};
    const child = appliance.start([], env);
    const end = ended(child);
    const atWork = "SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'UPDATE users%'";
    while ((await appliance.sql(atWork)).length === 0) await new Promise((r) => setTimeout(r, 50));
    process.kill(-(child.pid ?? 0), 'SIGKILL');
    await end;
    expect(await appliance.runWith(env)).toMatchObject({ exitCode: 0 });
    expect(await appliance.sql(atWork)).toEqual([]);
    expect(await appliance.numbers()).toEqual([1, 1]);
  },
);

test('in another database of the same server: ended too, and those of another appliance there are not', async () => {
  await appliance.server.recreate('legacy');
  await appliance.server.query('legacy', 'CREATE TABLE old (n int); INSERT INTO old VALUES (0)');
  const statement = 'UPDATE old SET n = n + 1 WHERE pg_sleep(3) IS NOT NULL';
  appliance.write(
    '001_x.ts',
    `${pool.replace('process.env.DATABASE_URL', "process.env.DATABASE_URL.replace('/inventory', '/legacy')")}
    async function main() { await pool.query('${statement}'); await pool.end(); }\nmain();`,
  );
  const others = appliance.server.query(
    'legacy',
    "SET application_name = 'holdfast data migration 001_x'; SELECT pg_sleep(6); SELECT 1 AS n",
  );
  const child = appliance.start([]);
  const end = ended(child);
  const atWork = "SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'UPDATE old%'";
  while ((await appliance.sql(atWork)).length === 0) await new Promise((r) => setTimeout(r, 50));
  process.kill(-(child.pid ?? 0), 'SIGKILL');
  await end;
  expect(await appliance.run()).toMatchObject({ exitCode: 0 });
  expect(await appliance.server.query('legacy', 'SELECT n FROM old')).toEqual([{ n: 1 }]);
  await others;
});

test.for(['001_x.ts', '001_x.cts'])(
  'a migration in the middle of a loop ends with its killed runner, and writes nothing later (%s)',
  async (name) => {
    const file = join(appliance.root, 'pid');
    const loop = `process.getBuiltinModule('node:fs').writeFileSync(${JSON.stringify(file)}, String(process.pid));
      const from = Date.now(); while (Date.now() < from + 20_000);`;
    appliance.write(
      name,
      name.endsWith('.cts')
        ? `async function main() { ${loop} }\nvoid main();`
        : `export const migration = { id: '001_x', async up() { ${loop} } };`,
    );
    const child = appliance.start([]);
    const end = ended(child);
    const worker = Number(
      await waitFor(() => (existsSync(file) ? readFileSync(file, 'utf8') : undefined) || undefined, {
        timeoutMs: 20_000,
      }),
    );
    rmSync(file);
    expect(identify(worker)).toBeDefined();
    process.kill(child.pid ?? 0, 'SIGKILL');
    await end;
    expect(await waitFor(() => identify(worker) === undefined || undefined, { timeoutMs: 10_000 })).toBe(
      true,
    );
  },
);

test('named by the address: prisma instead of tx is told all the same', { timeout: 60_000 }, async () => {
  appliance.migration(
    '001_x',
    up(
      `await batch({ table: 'users', up: async ({ id }) => { await prisma.$executeRaw\`UPDATE users SET n = 1 WHERE id = \${id}\`; } });`,
    ),
  );
  const { exitCode, stderr } = await appliance.runWith({ DATABASE_URL: named('inventory') });
  expect(stderr).toContain('waits for a row that its own batch holds');
  expect(exitCode).toBe(1);
});

test('a run leaves a dry run at work alone', { timeout: 60_000 }, async () => {
  appliance.migration('001_x', up(`console.log('at it'); await prisma.$executeRaw\`SELECT pg_sleep(4)\`;`));
  appliance.migration('002_y', addOne);
  const child = appliance.start(['--dry-run', '--only', '1']);
  const tried = ended(child);
  await untilItSays(child, 'at it');
  expect(await appliance.run('--only', '2')).toMatchObject({ exitCode: 0 });
  expect(await tried).toMatchObject({ exitCode: 0, stderr: '' });
});

test('a session that this user may not end: told, with whose it is', async () => {
  await appliance.sql('CREATE ROLE plain LOGIN; GRANT CREATE ON DATABASE inventory TO plain');
  appliance.migration('001_x', addOne);
  const busy = appliance.sql("SET application_name = 'holdfast data migration 001_x'; SELECT pg_sleep(3)");
  const url = new URL(appliance.url);
  url.username = 'plain';
  const atWork = "SELECT FROM pg_stat_activity WHERE application_name LIKE 'holdfast%'";
  while ((await appliance.sql(atWork)).length === 0) await new Promise((r) => setTimeout(r, 50));
  const { exitCode, stderr } = await appliance.runWith({ DATABASE_URL: url.href });
  expect(stderr).toMatch(
    /an earlier run is still at work \(database session \d+ of ".*this user may not end it.*SELECT pg_terminate_backend\(\d+\)/,
  );
  expect(exitCode).toBe(2);
  await busy;
  await appliance.sql('REVOKE ALL ON DATABASE inventory FROM plain; DROP ROLE plain');
});
