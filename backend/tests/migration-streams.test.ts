import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { afterEach, mock, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { createFakeEngine, DONE } from './support/fake-engine.ts';
import { GuardedServer } from './support/guarded-server.ts';

const KEY = 'the right key, said by nobody';
const headers = { 'developer-key': KEY };

let guarded: GuardedServer;
afterEach(async () => {
  mock.timers.reset();
  await guarded.close();
});

/** The answer of a server that really listens, as it begins. */
async function begin(): Promise<{ request: ClientRequest; response: IncomingMessage }> {
  const address = await guarded.app.listen({ port: 0, host: '127.0.0.1' });
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
  guarded = await GuardedServer.start(KEY, engine);
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
  assert.match(guarded.log, /Data migrations: done\./);
});

await test('a client that does not read is dropped, and the run goes on', async () => {
  const engine = createFakeEngine();
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  engine.run = async (_args, onEvent = () => {}) => {
    for (let told = 0; told < 64; told += 1) {
      onEvent({ type: 'migration-log', id: '001_a', message: 'm'.repeat(1024 * 1024) });
      await setTimeout(1);
    }
    end();
    return DONE;
  };
  guarded = await GuardedServer.start(KEY, engine);
  const { request, response } = await begin();
  await ended;
  let text = '';
  response.on('data', (chunk: Buffer) => void (text += chunk.toString()));
  await new Promise((resolve) => response.once('close', resolve));
  request.destroy();
  assert(text.length < 32 * 1024 * 1024, `${text.length} characters came`);
  assert(!text.includes('"result"'));
});

const LATE = { ok: false, exitCode: 1, error: 'late' } as const;

await test('empty lines keep a connection alive on which nothing happens', async () => {
  mock.timers.enable({ apis: ['setInterval'] });
  const { promise: until, resolve: finish } = Promise.withResolvers<void>();
  guarded = await GuardedServer.start(
    KEY,
    createFakeEngine(() => ({ until, outcome: LATE })),
  );
  const accept = 'application/x-ndjson';
  const answer = guarded.app.inject({
    method: 'POST',
    url: '/migration/run',
    headers: { ...headers, accept },
  });
  await setTimeout(50);
  mock.timers.tick(15_000);
  mock.timers.tick(15_000);
  finish();
  const { statusCode, body } = await answer;
  assert.equal(statusCode, 200);
  assert.equal(body, `\n\n${JSON.stringify({ type: 'result', ...LATE })}\n`);
});
