import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startPostgres, waitUntil, type PostgresServer } from '../fixtures/schema-engine/postgres-server.ts';
import { BuiltBackend, holdMigrations, WAIT, type RunningBackend } from '../support/data-migrations-http.ts';

/* The built backend, over HTTP and through the command line, on a real database. */

const DATABASE = 'appliance';
const KEY = 'said-by-nobody-0123456789';
const headers = { 'developer-key': KEY };

let server: PostgresServer;
let backend: BuiltBackend;
let holder: Awaited<ReturnType<typeof holdMigrations>> | undefined;

beforeAll(async () => {
  [server, backend] = await Promise.all([startPostgres(), BuiltBackend.build()]);
});

afterAll(async () => {
  await backend?.remove();
  await server?.stop();
});

beforeEach(async () => {
  await backend.prepare(server, DATABASE);
});

afterEach(async () => {
  await holder?.end();
  holder = undefined;
  await backend.stopAll();
  for (const name of ['002_test.ts', '003_test.ts']) rmSync(join(backend.migrations, name), { force: true });
});

async function start(variables: Readonly<Record<string, string>> = {}): Promise<RunningBackend> {
  const running = await backend.start({
    DATABASE_URL: server.url(DATABASE),
    DEVELOPER_KEY: KEY,
    ...variables,
  });
  await running.untilItAnswers();
  return running;
}

const INSERT = 'return { rows: await prisma.$executeRaw`INSERT INTO departments (name) VALUES (${"new"})` };';
const departments = async () => await server.query(DATABASE, 'SELECT name FROM departments');
const states = async () =>
  (await server.query(DATABASE, 'SELECT id, state FROM holdfast.data_migrations ORDER BY id')).map(
    ({ id, state }) => `${String(id)} ${String(state)}`,
  );

test('looked at, tried, run and looked at again, over HTTP', async () => {
  backend.put(INSERT);
  const running = await start();

  const before = await running.ask('GET', 'status', headers);
  expect(before.status).toBe(200);
  expect(await before.json()).toMatchObject({
    applied: [],
    pending: ['001_populate_department_ids', '002_test'],
  });
  expect(await (await running.ask('GET', 'list', headers)).json()).toMatchObject({
    migrations: [{ id: '001_populate_department_ids' }, { state: 'PENDING', description: 'A test.' }],
  });

  const tried = await running.ask('POST', 'run?dryRun=true', headers);
  expect(tried.status).toBe(200);
  expect(await tried.json()).toMatchObject({ ok: true, exitCode: 0, message: 'Nothing was changed.' });
  expect((await running.ask('POST', 'run?dryrun=true', headers)).status).toBe(400);
  expect(await departments()).toEqual([]);

  const one = await running.ask('POST', 'run/2', headers);
  expect(one.status).toBe(200);
  expect(await one.json()).toMatchObject({
    ok: true,
    events: [{ type: 'run-started' }, { type: 'migration-started', id: '002_test' }, { status: 'success' }],
  });
  expect(await departments()).toEqual([{ name: 'new' }]);
  const all = await running.ask('POST', 'run', headers);
  expect(await all.json()).toMatchObject({ ok: true, exitCode: 0, message: 'Data migrations: done.' });
  expect(await (await running.ask('GET', 'status', headers)).json()).toMatchObject({
    applied: ['001_populate_department_ids', '002_test'],
    pending: [],
  });
});

test('an unknown name is 404 with the reason of the engine, a file to mend 422, a failure 500', async () => {
  const running = await start();
  const unknown = await running.ask('POST', 'run/nope', headers);
  expect(unknown.status).toBe(404);
  expect(await unknown.json()).toMatchObject({
    ok: false,
    exitCode: 2,
    error: { code: 'not_found', message: expect.stringMatching(/^cannot find the data migration nope: /) },
  });

  backend.put('', { id: '003_test' });
  backend.put('', { says: '002_other' });
  const broken = await running.ask('POST', 'run', headers);
  expect(broken.status).toBe(422);
  expect(await broken.json()).toMatchObject({ exitCode: 2, error: { code: 'migrations_refused' } });

  backend.put("throw new Error('row 7 is odd')");
  const failed = await running.ask('POST', 'run', headers);
  expect(failed.status).toBe(500);
  expect(await failed.json()).toMatchObject({
    exitCode: 1,
    error: { code: 'migration_failed', message: expect.stringContaining('row 7 is odd') },
  });
  expect(await states()).toEqual(['001_populate_department_ids NOT_NEEDED', '002_test FAILED']);
});

test('without DEVELOPER_KEY there are no routes; a short one keeps the backend from starting', async () => {
  const running = await start({ DEVELOPER_KEY: '' });
  const answer = await running.ask('GET', 'status', headers);
  const unknown = await fetch(`${running.url}/unknown`);
  expect(answer.status).toBe(404);
  expect(await answer.text()).toBe((await unknown.text()).replace('/unknown', '/migration/status'));
  expect((await backend.cli(running.url, [], { DEVELOPER_KEY: KEY })).stderr).toContain(
    'it has no migration routes',
  );

  const short = await backend.start({
    DATABASE_URL: server.url(DATABASE),
    DEVELOPER_KEY: 'short-but-secret',
  });
  expect(await short.ended).toBe(1);
  expect(short.output).toMatch(/^cannot start the backend: DEVELOPER_KEY has fewer than 24 characters.*\n$/);
  expect(short.output).not.toContain('short-but-secret');
});

test('the key is in no log and no process of a migration; five wrong ones and the address must wait', async () => {
  backend.put("log('key: ' + ('DEVELOPER_KEY' in process.env) + ' ' + process.argv.join(' '));");
  const running = await start();
  const told = await (await running.ask('POST', 'run/002_test', headers)).text();
  expect(told).toContain('key: false');
  expect(told).not.toContain(KEY);
  for (let attempt = 1; attempt <= 5; attempt += 1)
    expect((await running.ask('GET', 'status', { 'developer-key': `${KEY}${attempt}` })).status).toBe(401);
  const refused = await running.ask('GET', 'status', headers);
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(50);
  const cli = await backend.cli(running.url, ['--status'], { DEVELOPER_KEY: KEY });
  expect([cli.exitCode, cli.stderr]).toEqual([2, expect.stringContaining('too many wrong keys')]);
  await running.stop();
  expect(running.output).toContain('"statusCode":429');
  expect(running.output).not.toContain(KEY);
});

test('one lock: while one runs another is 409, and the client that hung up does not end it', async () => {
  holder = await holdMigrations(server.url(DATABASE));
  backend.put(WAIT + INSERT);
  const running = await start();
  const hungUp = new AbortController();
  const first = await fetch(`${running.url}/migration/run/002_test`, {
    method: 'POST',
    headers: { ...headers, accept: 'application/x-ndjson' },
    signal: hungUp.signal,
  });
  const reader = first.body?.pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader?.read())?.value).toContain('"run-started"');
  hungUp.abort();

  const second = await running.ask('POST', 'run', headers);
  expect(second.status).toBe(409);
  expect(await second.json()).toMatchObject({ exitCode: 4, error: { code: 'migrations_locked' } });
  const cli = await backend.cli(running.url, ['--json'], { DEVELOPER_KEY: KEY });
  expect([cli.exitCode, cli.stderr]).toEqual([4, '']);
  expect(JSON.parse(cli.stdout)).toMatchObject({ type: 'result', ok: false, exitCode: 4 });

  await holder.letGo();
  await waitUntil('the run ended', async () => (await states()).includes('002_test COMPLETED'));
  expect(await departments()).toEqual([{ name: 'new' }]);
});

test('a backend that is stopped stops its run, which the next one goes on with', async () => {
  holder = await holdMigrations(server.url(DATABASE));
  backend.put(WAIT + INSERT);
  const running = await start();
  const asked = running.ask('POST', 'run/002_test', headers);
  await running.untilItSays('migration-started');
  running.child.kill('SIGTERM');
  const answer = await asked;
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({ exitCode: 143, error: { code: 'migrations_interrupted' } });
  expect(await running.ended).toBe(0);
  expect(await states()).toEqual(['002_test RUNNING']);
});

test('the command line waits for the backend, runs in order, and looks as it does here', async () => {
  backend.put(INSERT);
  const running = await backend.start({ DATABASE_URL: server.url(DATABASE), DEVELOPER_KEY: KEY });
  const done = await backend.cli(running.url, [], { DEVELOPER_KEY: KEY });
  expect(done.exitCode).toBe(0);
  expect(done.stderr).toMatch(/^(?:waiting until .*)?$/);
  expect(done.stdout.replaceAll(/\d+ ms/g, 'N ms')).toBe(
    [
      'Data migrations: 2 to run, 0 already applied.',
      '→ 001_populate_department_ids',
      '✔ 001_populate_department_ids: not-needed (N ms)',
      '→ 002_test',
      '✔ 002_test: success (N ms)',
      'Data migrations: done.',
    ].join('\n'),
  );

  const status = await backend.cli(running.url, ['--status', '--json'], { DEVELOPER_KEY: KEY });
  expect(JSON.parse(status.stdout)).toMatchObject({ pending: [], failed: [] });
  const wrong = await backend.cli(running.url, [], { DEVELOPER_KEY: `${KEY}x` });
  expect([wrong.exitCode, wrong.stdout, wrong.stderr]).toEqual([
    2,
    '',
    expect.stringContaining('key is wrong'),
  ]);
  const unknown = await backend.cli(running.url, ['--only', 'nope'], { DEVELOPER_KEY: KEY });
  expect([unknown.exitCode, unknown.stderr]).toEqual([
    2,
    expect.stringMatching(/^cannot find the data migration/),
  ]);
});

test('a backend that is killed in the middle: exit 1, and how to look', async () => {
  holder = await holdMigrations(server.url(DATABASE));
  backend.put(WAIT);
  const running = await start();
  const asked = backend.cli(running.url, ['--only', '2'], { DEVELOPER_KEY: KEY });
  await running.untilItSays('migration-started');
  running.child.kill('SIGKILL');
  const lost = await asked;
  expect(lost.exitCode).toBe(1);
  expect(lost.stderr).toMatch(
    /was lost .*The backend goes on .* See how it went: run\.sh --status --backend-url/,
  );
  // Its engine goes on by itself, and ends well.
  await holder.letGo();
  await waitUntil('the run ended', async () => (await states()).includes('002_test COMPLETED'));
});

test('at the start: refused in production, told with one switch, run with the other', async () => {
  backend.put(INSERT);
  const production = { NODE_ENV: 'production', DATABASE_URL: server.url(DATABASE) };
  const refused = await backend.start({ ...production, AUTO_MIGRATE: 'true' });
  expect(await refused.ended).toBe(1);
  expect(refused.output).toMatch(/^cannot start the backend: AUTO_MIGRATE is not for production, .*\n$/);

  const looking = await start({ RUN_MIGRATIONS_ON_STARTUP: 'true' });
  await looking.untilItSays('data migrations: 2 pending, 0 failed');
  await looking.stop();
  expect(await departments()).toEqual([]);

  const gate = join(backend.root, 'the gate');
  writeFileSync(gate, 'closed\n');
  const gated = await start({ ...production, AUTO_MIGRATE: '1', HOLDFAST_GATE_FILE: gate });
  await gated.untilItSays('waiting for the update to be committed');
  expect((await gated.ask('POST', 'run', headers)).status).toBe(503);
  expect(await departments()).toEqual([]);
  rmSync(gate);
  await gated.untilItSays('Data migrations: done.');
  expect(await departments()).toEqual([{ name: 'new' }]);
});
