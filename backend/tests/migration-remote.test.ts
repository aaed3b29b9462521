import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { parseArguments } from '../src/data-migrations/arguments.ts';
import { Refusal } from '../src/data-migrations/refusal.ts';
import { runRemotely } from '../src/data-migrations/remote.ts';
import type { Event } from '../src/data-migrations/reporter.ts';
import { json, lines, StubBackend } from './support/stub-backend.ts';

const KEY = 'the right key, said by nobody'.replaceAll(' ', '-');
const DONE = { type: 'result', ok: true, message: 'Data migrations: done.' };

let backend = new StubBackend();
let events: Event[] = [];
let stderr = '';
let stdout = '';
beforeEach(() => {
  backend = new StubBackend();
  events = [];
  stderr = '';
  stdout = '';
  mock.method(process.stderr, 'write', (text: string) => void (stderr += text));
  mock.method(console, 'log', (text: string) => void (stdout += text));
});
afterEach(() => {
  mock.restoreAll();
  backend.close();
});

async function run(url: string, args: readonly string[], key: string | null = KEY, signal?: AbortSignal) {
  const environment = key === null ? {} : { DEVELOPER_KEY: key };
  const request = parseArguments(['--backend-url', url, ...args], environment);
  const report = (event: Event): void => void events.push(event);
  await runRemotely(request, url, report, signal ?? new AbortController().signal);
}

async function refused(running: Promise<void>): Promise<string> {
  let said = '';
  await assert.rejects(running, (error: unknown) => {
    assert(error instanceof Refusal);
    assert(!error.message.includes(KEY));
    said = `${error.exitCode} ${error.message}`;
    return true;
  });
  return said;
}

const ASKED = [
  [[], 'POST /migration/run?dryRun=false'],
  [['--dry-run'], 'POST /migration/run?dryRun=true'],
  [['--only', '003_x'], 'POST /migration/run/003_x?dryRun=false'],
  [['--dry-run', '--only', 'a/../b'], 'POST /migration/run/a%2F..%2Fb?dryRun=true'],
] as const;

for (const [args, line] of ASKED)
  await test(`${JSON.stringify(args)} is ${line}, and its events are passed on`, async () => {
    const started = { type: 'run-started', pending: 1, applied: 0 };
    const url = await backend.serve(lines(200, started, '', DONE));
    await run(`${url}/`, args);
    assert.deepEqual(
      backend.asked.map((one) => one.line),
      [line],
    );
    assert.equal(backend.asked[0]?.headers['developer-key'], KEY);
    assert.equal(backend.asked[0]?.headers.accept, 'application/x-ndjson');
    assert.deepEqual(events, [started, DONE]);
    assert.equal(stderr, '');
  });

await test('--status looks as it does here', async () => {
  const summary = {
    applied: ['001_a'],
    pending: [],
    failed: [],
    migrations: [{ id: '001_a', state: 'COMPLETED' }],
    warnings: [],
  };
  const url = await backend.serve(json(200, summary));
  await run(url, ['--status']);
  assert.equal(stdout, 'applied: 1\n  001_a\npending: 0\nfailed: 0');
  stdout = '';
  await run(url, ['--status', '--json']);
  assert.deepEqual(JSON.parse(stdout), summary);
  assert.deepEqual(
    backend.asked.map((one) => one.line),
    ['GET /migration/status', 'GET /migration/status'],
  );
});

await test('--list looks as it does here', async () => {
  const list = { migrations: [{ id: '001_a', state: 'PENDING', description: 'Moves it.' }] };
  const url = await backend.serve(json(200, list));
  await run(url, ['--list']);
  assert.equal(stdout, '001_a [PENDING] Moves it.');
  stdout = '';
  await run(url, ['--list', '--json']);
  assert.deepEqual(JSON.parse(stdout), list);
});

await test('the exit code is the one that the engine has there', async () => {
  const failed = { type: 'result', ok: false, exitCode: 4, error: 'another runner is at it' };
  assert.equal(await refused(run(await backend.serve(lines(409, failed)), [])), '4 another runner is at it');
  const answer = json(422, {
    ok: false,
    exitCode: 2,
    error: { code: 'x', message: 'cannot read the registry' },
  });
  assert.equal(await refused(run(await backend.serve(answer), ['--status'])), '2 cannot read the registry');
});

const REFUSED: readonly (readonly [string, RequestListener, RegExp])[] = [
  ['a wrong key', json(401, {}), /^2 cannot ask http:\S+: the developer key is wrong\. Set DEVELOPER_KEY/],
  [
    'a backend without a key',
    json(404, {}),
    /^2 .*: it has no migration routes\. Start it with DEVELOPER_KEY/,
  ],
  ['too many wrong keys', json(429, {}, { 'retry-after': '17' }), /^2 .*: too many wrong keys .* in 17 s/],
  ['an update', json(503, {}), /^2 .*: it is being updated or stopped\. Nothing was run/],
  ['a failure', json(500, {}), /^2 .*: it answers 500\. Look at its log/],
  ['a redirect', json(307, {}, { location: '/elsewhere' }), /^2 .*: it sends us elsewhere \(\/elsewhere\)/],
  ['a stranger', json(200, {}), /^2 .*: what answers there is not the backend\. Correct --backend-url/],
];

for (const [what, answer, reason] of REFUSED)
  for (const args of [[], ['--status']])
    await test(`refused: ${what}, asked for ${JSON.stringify(args)}`, async () => {
      assert.match(await refused(run(await backend.serve(answer), args)), reason);
      // Above all the key did not follow the redirect.
      assert.equal(backend.asked.length, 1);
    });

await test('a connection that breaks in the middle: exit 1, and how to look', async () => {
  const url = await backend.serve((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.write(`${JSON.stringify({ type: 'run-started', pending: 1, applied: 0 })}\n`, () =>
      response.destroy(),
    );
  });
  assert.match(
    await refused(run(url, [])),
    /^1 cannot say how .* was lost \(.+\)\. The backend goes on .* --status --backend-url http/,
  );
  assert.equal(events.length, 1);
});

await test('an answer that ends without a result is a broken one', async () => {
  const url = await backend.serve(lines(200, { type: 'run-started', pending: 1, applied: 0 }));
  assert.match(await refused(run(url, [])), /^1 cannot say how .*it ended without a result/);
});

await test('a backend that dies before it answers may have begun', async () => {
  const url = await backend.serve((request) => void request.socket.destroy());
  assert.match(await refused(run(url, [])), /^1 cannot say how the data migrations went/);
  assert.match(await refused(run(url, ['--status'])), /^2 cannot ask .*Is it still running\?/);
});

await test('interrupted: the exit code of the signal, and that the backend goes on', async () => {
  const controller = new AbortController();
  const url = await backend.serve((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.write('\n', () => controller.abort(new Refusal(130, 'stopped by SIGINT')));
  });
  const said = await refused(run(url, [], KEY, controller.signal));
  assert.match(
    said,
    /^130 no longer waiting \(stopped by SIGINT\): the backend goes on .* --status --backend-url/,
  );
});

await test('waits until the backend is healthy, and says so once', async () => {
  let answers = 0;
  const url = await backend.serve(lines(200, DONE), () => {
    answers += 1;
    return answers < 3 ? 503 : 200;
  });
  await run(url, []);
  assert.equal(answers, 3);
  assert.match(stderr, /^waiting until \S+ is healthy \(it answers 503\) \.\.\.\n$/);
  assert.deepEqual(events, [DONE]);
});

await test('not healthy in time: exit 2, nothing was asked', async () => {
  const url = await backend.serve(lines(200, DONE));
  backend.close();
  assert.match(
    await refused(run(url, ['--wait', '100ms'])),
    /^2 cannot ask \S+: it was not healthy within 0\.1 s \(.*ECONNREFUSED.*\)\. Nothing was run/,
  );
});

await test('refused before anything is sent: no key, a key that no header can carry, a password in the URL', async () => {
  const url = await backend.serve(lines(200, DONE));
  assert.match(await refused(run(url, [], null)), /^2 .*: no developer key was given\. Set DEVELOPER_KEY/);
  assert.match(await refused(run(url, [], '')), /no developer key was given/);
  const said = await refused(run(url, [], 'schlüssel\u2603'));
  assert.match(said, /^2 .*: the developer key holds characters that no header can carry/);
  assert(!said.includes('schlüssel'));
  const withPassword = await refused(run(url.replace('//', '//user:secret@'), []));
  assert.match(withPassword, /^2 .*: give --backend-url without a user name and password/);
  assert(!withPassword.includes('secret'));
  assert.deepEqual(backend.asked, []);
});

await test('a key by the flag is used, with a warning', async () => {
  const url = await backend.serve(lines(200, DONE));
  await run(url, ['--developer-key', 'by-the-flag'], KEY);
  assert.equal(backend.asked[0]?.headers['developer-key'], 'by-the-flag');
  assert.match(stderr, /^warning: --developer-key is visible in the process list/);
});

for (const [name, value] of [
  ['--timeout', '5m'],
  ['--memory', '512'],
  ['--directory', '/somewhere'],
])
  await test(`refused: ${name}, which a backend has itself`, async () => {
    const said = await refused(run('http://localhost', [name ?? '', value ?? '']));
    assert.equal(
      said,
      `2 cannot run the data migrations: ${name} is set where the migrations are, not through --backend-url. See run.sh --help`,
    );
  });
