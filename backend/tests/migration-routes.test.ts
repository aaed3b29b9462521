import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { afterEach, mock, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fastify, type FastifyInstance } from 'fastify';
import { answerErrors } from '../src/error-answers.ts';
import type { PrismaClient } from '../src/generated/client.ts';
import type { Outcome } from '../src/migration-engine.ts';
import { addMigrationRoutes } from '../src/routes/migrations.ts';
import { buildServer } from '../src/server.ts';
import { createFakeEngine, DONE, type FakeEngine } from './support/fake-engine.ts';

const KEY = 'the right key, said by nobody';
const headers = { 'developer-key': KEY };
const ROUTES = [
  ['GET', '/migration/status'],
  ['GET', '/migration/list'],
  ['POST', '/migration/run'],
  ['POST', '/migration/run/001_a'],
] as const;

let app: FastifyInstance;
let log = '';
afterEach(async () => {
  app.server.closeAllConnections();
  await app.close();
  mock.timers.reset();
});

async function serve(engine: FakeEngine, isUpdating = false): Promise<void> {
  log = '';
  app = fastify({
    logger: { level: 'trace', stream: { write: (line: string) => void (log += line) } },
    ajv: { customOptions: { removeAdditional: false } },
  });
  answerErrors(app);
  const parts = { key: KEY, engine, isUpdating: () => isUpdating };
  app.register(async (guarded) => await addMigrationRoutes(guarded, parts), { prefix: '/migration' });
  await app.ready();
}

const refusal = (exitCode: number, error: string): Outcome => ({ ok: false, exitCode, error });

await test('without a key the routes are not there, like any other that is not', async () => {
  const build = { commit: 'unknown', release: 'unknown' };
  app = buildServer({ prisma: {} as PrismaClient, build, logLevel: 'silent', migrations: undefined });
  for (const [method, url] of ROUTES) {
    const answer = await app.inject({ method, url, headers });
    const unknown = await app.inject({ method, url: '/unknown', headers });
    assert.equal(answer.statusCode, 404);
    assert.equal(answer.body, unknown.body.replace('/unknown', url));
  }
});

await test('with a key they are there', async () => {
  const build = { commit: 'unknown', release: 'unknown' };
  const migrations = { key: KEY, engine: createFakeEngine(), isUpdating: () => false };
  app = buildServer({ prisma: {} as PrismaClient, build, logLevel: 'silent', migrations });
  for (const [method, url] of ROUTES)
    assert.equal((await app.inject({ method, url, headers })).statusCode, 200, url);
});

for (const [what, key] of [
  ['none', undefined],
  ['an empty one', ''],
  ['one character', 'x'],
  ['a part of the right one', KEY.slice(0, -1)],
  ['the right one with something behind it', `${KEY}x`],
  ['one of the same length', KEY.replace('r', 'R')],
  ['a long one', 'x'.repeat(4_000)],
] as const)
  await test(`401, and nothing is asked of the engine: ${what}`, async () => {
    const engine = createFakeEngine();
    await serve(engine);
    const given: Record<string, string> = key === undefined ? {} : { 'developer-key': key };
    for (const [method, url] of ROUTES) {
      const answer = await app.inject({ method, url, headers: given });
      assert.equal(answer.statusCode, 401);
      assert.equal(answer.json().error.code, 'wrong_developer_key');
    }
    assert.deepEqual(engine.asked, []);
  });

await test('after five wrong keys the address is answered 429 for a minute, with the right key too; others are not', async () => {
  mock.timers.enable({ apis: ['Date'], now: Date.now() });
  const engine = createFakeEngine();
  await serve(engine);
  const ask = async (given: Record<string, string>, remoteAddress = '192.0.2.1') =>
    await app.inject({ url: '/migration/status', headers: given, remoteAddress });
  for (let attempt = 1; attempt <= 5; attempt += 1)
    assert.equal((await ask({ 'developer-key': `guess ${attempt}` })).statusCode, 401);

  const refused = await ask({ 'developer-key': 'guess 6' });
  assert.equal(refused.statusCode, 429);
  assert.equal(refused.json().error.code, 'too_many_wrong_keys');
  assert.equal(refused.headers['retry-after'], '60');
  assert.equal((await ask(headers)).statusCode, 429);
  assert.deepEqual(engine.asked, []);
  assert.equal((await ask(headers, '192.0.2.2')).statusCode, 200);

  mock.timers.tick(60_001);
  assert.equal((await ask(headers)).statusCode, 200);
});

await test('requests with the right key, or without any, are not counted', async () => {
  await serve(createFakeEngine());
  for (let attempt = 1; attempt <= 10; attempt += 1) {
    assert.equal((await app.inject({ url: '/migration/status', headers })).statusCode, 200);
    assert.equal((await app.inject({ url: '/migration/status' })).statusCode, 401);
  }
});

await test('no key is ever in the log, not even a wrong one', async () => {
  const outcome = refusal(1, 'cannot apply data migration 001_a: no');
  await serve(createFakeEngine(() => ({ outcome })));
  await app.inject({ method: 'POST', url: '/migration/run', headers });
  await app.inject({ method: 'POST', url: '/migration/run', headers: { 'developer-key': 'nearly right' } });
  assert.match(log, /cannot apply data migration 001_a: no/);
  assert.match(log, /"statusCode":401/);
  assert(!log.includes(KEY));
  assert(!log.includes('nearly right'));
});

const ASKED = [
  ['/migration/run', []],
  ['/migration/run?dryRun=true', ['--dry-run']],
  ['/migration/run?dryRun=1', ['--dry-run']],
  ['/migration/run?dryRun=false', []],
  ['/migration/run/003_x', ['--only=003_x']],
  ['/migration/run/--rerun?dryRun=true', ['--only=--rerun', '--dry-run']],
] as const;

for (const [url, args] of ASKED)
  await test(`POST ${url} asks for ${JSON.stringify(args)}`, async () => {
    const engine = createFakeEngine();
    await serve(engine);
    assert.equal((await app.inject({ method: 'POST', url, headers })).statusCode, 200);
    assert.deepEqual(engine.asked, [args]);
  });

for (const url of [
  '/run?dryrun=true',
  '/run?dryRun=yes',
  '/run?dryRun=',
  '/run?dryRun=1&dryRun=0',
  '/run/%00',
  '/run/',
])
  await test(`400 instead of a run: POST ${url}`, async () => {
    const engine = createFakeEngine();
    await serve(engine);
    const answer = await app.inject({ method: 'POST', url: `/migration${url}`, headers });
    assert.equal(answer.statusCode, 400);
    assert.deepEqual(engine.asked, []);
  });

const OUTCOMES = [
  [refusal(1, 'it failed'), 500, 'migration_failed'],
  [refusal(2, 'cannot run the data migrations: 2 to mend'), 422, 'migrations_refused'],
  [refusal(2, 'cannot find the data migration 9: there is no such file'), 404, 'not_found'],
  [refusal(4, 'another runner is at it'), 409, 'migrations_locked'],
  [refusal(143, 'stopped by SIGTERM'), 503, 'migrations_interrupted'],
] as const;

for (const [outcome, status, code] of OUTCOMES)
  await test(`exit ${outcome.ok ? 0 : outcome.exitCode} is ${status} ${code}, as JSON and as events`, async () => {
    await serve(createFakeEngine(() => ({ events: [{ type: 'warning', message: 'w' }], outcome })));
    const { ok: _ok, ...failed } = outcome as Extract<Outcome, { ok: false }>;

    const asked = await app.inject({ url: '/migration/status', headers });
    const error = { code, message: failed.error };
    assert.equal(asked.statusCode, status);
    assert.deepEqual(asked.json(), { ok: false, exitCode: failed.exitCode, error });

    const collected = await app.inject({ method: 'POST', url: '/migration/run', headers });
    const events = [{ type: 'warning', message: 'w' }];
    assert.equal(collected.statusCode, status);
    assert.deepEqual(collected.json(), { ok: false, exitCode: failed.exitCode, events, error });

    const accept = 'application/x-ndjson';
    const told = await app.inject({ method: 'POST', url: '/migration/run', headers: { ...headers, accept } });
    assert.equal(told.statusCode, status);
    assert.deepEqual(JSON.parse(told.body.trim().split('\n').at(-1) ?? ''), { type: 'result', ...outcome });
  });

await test('the answer holds the events without the progress, and counts the lines that it leaves out', async () => {
  const line = { type: 'migration-log', id: '001_a', message: 'm' };
  const events = [
    { type: 'migration-progress', id: '001_a', done: 1 },
    ...Array<typeof line>(1_002).fill(line),
  ];
  await serve(createFakeEngine(() => ({ events })));
  const answer = (await app.inject({ method: 'POST', url: '/migration/run', headers })).json();
  assert.deepEqual([answer.ok, answer.exitCode, answer.message], [true, 0, 'Data migrations: done.']);
  assert.equal(answer.events.length, 1_001);
  assert.deepEqual(answer.events[0], line);
  assert.match(answer.events.at(-1).message, /^2 more lines were logged/);
});

await test('503 while an update may still be rolled back; looking is allowed', async () => {
  const engine = createFakeEngine();
  await serve(engine, true);
  const refused = await app.inject({ method: 'POST', url: '/migration/run', headers });
  assert.equal(refused.statusCode, 503);
  assert.equal(refused.json().error.code, 'updating');
  assert.equal((await app.inject({ url: '/migration/list', headers })).statusCode, 200);
  assert.deepEqual(engine.asked, [['--list']]);
});

/** The answer of a server that really listens, as it begins. */
async function begin(): Promise<{ request: ClientRequest; response: IncomingMessage }> {
  const address = await app.listen({ port: 0, host: '127.0.0.1' });
  const accept = 'application/x-ndjson';
  const request = httpRequest(`${address}/migration/run`, {
    method: 'POST',
    headers: { ...headers, accept },
  });
  const [response] = (await once(request.end(), 'response')) as [IncomingMessage];
  response.on('error', () => {});
  return { request, response };
}

await test('events arrive while the run goes on, and a client that hangs up does not end it', async () => {
  const { promise: until, resolve: finish } = Promise.withResolvers<void>();
  const engine = createFakeEngine(() => ({ events: [{ type: 'run-started', pending: 1 }], until }));
  await serve(engine);
  const { request, response } = await begin();
  const [first] = (await once(response, 'data')) as [Buffer];
  assert.equal(response.statusCode, 200);
  assert.deepEqual(JSON.parse(first.toString()), { type: 'run-started', pending: 1 });
  assert.equal(engine.finished, 0);

  request.destroy();
  await setTimeout(50);
  finish();
  await setTimeout(50);
  assert.equal(engine.finished, 1);
  assert.match(log, /Data migrations: done\./);
});

await test('a client that does not read is dropped, and the run goes on', async () => {
  const engine = createFakeEngine();
  let told = 0;
  engine.run = async (_args, onEvent = () => {}) => {
    for (told = 0; told < 64; told += 1) {
      onEvent({ type: 'migration-log', id: '001_a', message: 'm'.repeat(1024 * 1024) });
      await setTimeout(1);
    }
    return DONE;
  };
  await serve(engine);
  const { request, response } = await begin();
  while (told < 64) await setTimeout(5);
  let text = '';
  response.on('data', (chunk: Buffer) => void (text += chunk.toString()));
  await new Promise((resolve) => response.once('close', resolve));
  request.destroy();
  assert(text.length < 32 * 1024 * 1024, `${text.length} characters came`);
  assert(!text.includes('"result"'));
});

await test('empty lines keep a connection alive on which nothing happens', async () => {
  mock.timers.enable({ apis: ['setInterval'] });
  const { promise: until, resolve: finish } = Promise.withResolvers<void>();
  await serve(createFakeEngine(() => ({ until, outcome: refusal(1, 'late') })));
  const accept = 'application/x-ndjson';
  const answer = app.inject({ method: 'POST', url: '/migration/run', headers: { ...headers, accept } });
  await setTimeout(50);
  mock.timers.tick(15_000);
  mock.timers.tick(15_000);
  finish();
  const { statusCode, body } = await answer;
  assert.equal(statusCode, 200);
  assert.equal(body, `\n\n${JSON.stringify({ type: 'result', ...refusal(1, 'late') })}\n`);
});
