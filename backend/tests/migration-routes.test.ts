import assert from 'node:assert/strict';
import { afterEach, mock, test } from 'node:test';
import type { PrismaClient } from '../src/generated/client.ts';
import type { Outcome } from '../src/migration-engine.ts';
import { buildServer } from '../src/server.ts';
import { createFakeEngine, type FakeEngine } from './support/fake-engine.ts';
import { GuardedServer } from './support/guarded-server.ts';

const KEY = 'the right key, said by nobody';
const headers = { 'developer-key': KEY };
const ROUTES = [
  ['GET', '/migration/status'],
  ['GET', '/migration/list'],
  ['POST', '/migration/run'],
  ['POST', '/migration/run/001_a'],
] as const;

let guarded: GuardedServer | undefined;
afterEach(async () => {
  await guarded?.close();
  mock.timers.reset();
});

async function serve(engine: FakeEngine, isUpdating = false): Promise<GuardedServer['app']> {
  guarded = await GuardedServer.start(KEY, engine, isUpdating);
  return guarded.app;
}

const refusal = (exitCode: number, error: string): Outcome => ({ ok: false, exitCode, error });

await test('without a key the routes are not there, like any other that is not', async () => {
  const build = { commit: 'unknown', release: 'unknown' };
  const app = buildServer({ prisma: {} as PrismaClient, build, logLevel: 'silent', migrations: undefined });
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
  const app = buildServer({ prisma: {} as PrismaClient, build, logLevel: 'silent', migrations });
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
    const app = await serve(engine);
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
  const app = await serve(engine);
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
  const app = await serve(createFakeEngine());
  for (let attempt = 1; attempt <= 10; attempt += 1) {
    assert.equal((await app.inject({ url: '/migration/status', headers })).statusCode, 200);
    assert.equal((await app.inject({ url: '/migration/status' })).statusCode, 401);
  }
});

await test('no key is ever in the log, not even a wrong one', async () => {
  const outcome = refusal(1, 'cannot apply data migration 001_a: no');
  const app = await serve(createFakeEngine(() => ({ outcome })));
  await app.inject({ method: 'POST', url: '/migration/run', headers });
  await app.inject({ method: 'POST', url: '/migration/run', headers: { 'developer-key': 'nearly right' } });
  assert.match(guarded?.log ?? '', /cannot apply data migration 001_a: no/);
  assert.match(guarded?.log ?? '', /"statusCode":401/);
  assert(!guarded?.log.includes(KEY));
  assert(!guarded?.log.includes('nearly right'));
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
    const app = await serve(engine);
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
    const app = await serve(engine);
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
    const app = await serve(
      createFakeEngine(() => ({ events: [{ type: 'warning', message: 'w' }], outcome })),
    );
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
    ...Array.from({ length: 1_002 }, () => line),
  ];
  const app = await serve(createFakeEngine(() => ({ events })));
  const answer = (await app.inject({ method: 'POST', url: '/migration/run', headers })).json();
  assert.deepEqual([answer.ok, answer.exitCode, answer.message], [true, 0, 'Data migrations: done.']);
  assert.equal(answer.events.length, 1_001);
  assert.deepEqual(answer.events[0], line);
  assert.match(answer.events.at(-1).message, /^2 more lines were logged/);
});

await test('503 while an update may still be rolled back; looking is allowed', async () => {
  const engine = createFakeEngine();
  const app = await serve(engine, true);
  const refused = await app.inject({ method: 'POST', url: '/migration/run', headers });
  assert.equal(refused.statusCode, 503);
  assert.equal(refused.json().error.code, 'updating');
  assert.equal((await app.inject({ url: '/migration/list', headers })).statusCode, 200);
  assert.deepEqual(engine.asked, [['--list']]);
});

await test('a dryRun in the body is refused: it would otherwise be a run for real', async () => {
  const engine = createFakeEngine();
  const app = await serve(engine);
  for (const payload of [{ dryRun: true }, ['dryRun'], { only: '001_a' }]) {
    const answer = await app.inject({ method: 'POST', url: '/migration/run/001_a', headers, payload });
    assert.equal(answer.statusCode, 400);
    assert.match(answer.body, /\?dryRun=true/);
  }
  assert.deepEqual(engine.asked, []);
  const empty = await app.inject({ method: 'POST', url: '/migration/run/001_a', headers, payload: {} });
  assert.equal(empty.statusCode, 200);
});
