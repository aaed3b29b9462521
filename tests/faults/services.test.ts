import { createServer } from 'node:net';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { findListeners } from '../../orchestrator/lib/ports.ts';
import { findByEnvironment } from '../../orchestrator/lib/processes.ts';
import { good } from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { interfering } from '../support/interference.ts';
import { tidyUp } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { release, replaceIn, type Edit } from '../support/releases.ts';
import { differences } from '../support/state.ts';
import { oneIn } from '../support/thoroughness.ts';

/*
 * Services that do what services do. Whatever the new version does, the version of before answers afterwards; and what
 * the version of before does does not keep it from being stopped.
 */

let ledger: Ledger;
let installed: string;

/** The health check asks often and gives up soon, so that the cases are quick. */
const impatient: Edit = (folder) => {
  replaceIn(folder, 'appliance.yaml', 'timeout: 20s, stableFor: 200ms', 'timeout: 1s, stableFor: 200ms');
  replaceIn(folder, 'appliance.yaml', 'stop: { timeout: 5s }', 'stop: { timeout: 300ms }');
};

const inServer =
  (from: string, to: string): Edit =>
  (folder) =>
    replaceIn(folder, 'api/src/server.js', from, to);

/** Instead of an answer to its health check. */
const onHealth = (body: string) =>
  inServer(
    'if (!route)',
    `if (request.url === '/health') { ${body} }
  if (!route)`,
  );

const both =
  (...edits: readonly Edit[]): Edit =>
  (folder) =>
    edits.forEach((edit) => edit(folder));

beforeAll(async () => {
  ledger = await Ledger.install();
  // The version of before ignores SIGTERM, and leaves children behind: each case has to stop it.
  installed = await ledger.sandbox.publish(
    both(
      release(2),
      impatient,
      inServer(
        "process.on('SIGTERM', () =>",
        `const { spawn } = await import('node:child_process');
spawn('setsid', ['sh', '-c', 'trap "" TERM; sleep 600; sleep 600'], { stdio: 'ignore', detached: true });
process.on('SIGTERM', () => undefined);
process.on('SIGUSR2', () =>`,
      ),
    ),
    { tag: 'v2' },
  );
  await ledger.succeed('update');
});

afterEach(async () => {
  await tidyUp(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
});

interface Case {
  readonly what: string;
  readonly publish: Edit;
  readonly says: RegExp;
}

const cases: readonly Case[] = [
  {
    what: 'is healthy, then crashes',
    publish: both(
      onHealth(
        'globalThis.asked = (globalThis.asked ?? 0) + 1; if (globalThis.asked === 4) process.exit(3);',
      ),
      (folder) => replaceIn(folder, 'appliance.yaml', 'stableFor: 200ms', 'stableFor: 3s'),
    ),
    says: /api ended after it had been healthy/,
  },
  {
    what: 'accepts and never answers',
    publish: onHealth('return;'),
    says: /api was not healthy within 1\.0 s.*no whole answer within 1000 ms/,
  },
  {
    what: 'answers 200 with a wrong body',
    publish: onHealth(`return answer(200, { database: 'gone' });`),
    says: /says \/database is "gone" instead of "ok"/,
  },
  {
    what: 'drips its answer for ever',
    publish: onHealth(`response.writeHead(200); setInterval(() => response.write(' '), 20); return;`),
    says: /no whole answer within 1000 ms/,
  },
  {
    what: 'answers with megabytes without an end',
    publish: onHealth(
      `response.writeHead(200); const more = () => { while (response.write('x'.repeat(65536))); response.once('drain', more); }; more(); return;`,
    ),
    says: /the answer is longer than 4(\.\d+)? MB/,
  },
  {
    what: 'forks a child that outlives it, and dies',
    publish: inServer(
      'server.listen',
      `(await import('node:child_process')).spawn('setsid', ['sh', '-c', 'trap "" TERM; sleep 600; sleep 600'], { stdio: 'ignore', detached: true });
throw new Error('left a child');\nserver.listen`,
    ),
    says: /left a child/,
  },
];

describe('a new version that', () => {
  test.for(oneIn(4, cases))(
    '$what: all is as before, and the version of before answers',
    async (it, context) => {
      await ledger.sandbox.publish(both(good, it.publish), { onto: installed });
      const was = await ledger.capture();

      const outcome = await ledger.run('update');

      expect(outcome).toMatchObject({
        exitCode: 10,
        error: expect.stringMatching(it.says),
        result: { outcome: 'restored' },
      });
      expect(differences(was, await ledger.capture())).toEqual([]);
      expect(await ledger.answeringCommit()).toBe(installed);
      // One of each service, and the child of the version of before: no child of the new one.
      expect(family()).toHaveLength(4);
      tally(context, 'restored');
    },
  );

  test('takes longer than usual to be healthy comes up, if it is given the time', async (context) => {
    const commit = await ledger.sandbox.publish(
      both(
        good,
        inServer('server.listen(', 'await new Promise((r) => setTimeout(r, 2000));\nserver.listen('),
        (folder) => replaceIn(folder, 'appliance.yaml', 'timeout: 1s', 'timeout: 1m'),
      ),
      { onto: installed },
    );
    expect(await ledger.run('update')).toMatchObject({ exitCode: 0 });
    expect(await ledger.answeringCommit()).toBe(commit);
    expect(await ledger.run('rollback')).toMatchObject({ exitCode: 0 });
    expect(await ledger.answeringCommit()).toBe(installed);
    tally(context, 'completed');
  });
});

test('a program takes the port before the new version starts: exit 11 names it, and recover goes on when it has left', async (context) => {
  await ledger.sandbox.publish(good, { onto: installed });
  const was = await ledger.capture();
  const port = ledger.apiPort;
  const stranger = createServer((socket) => {
    socket.on('error', () => {}).end('HTTP/1.1 200 OK\r\n\r\n{"database":"ok"}');
  });

  const outcome = await interfering(
    ledger,
    {
      during: 'build-frontend',
      at: /^node build\.js/,
      before: async () => {
        stranger.listen(port, '127.0.0.1');
        await once(stranger, 'listening');
      },
    },
    'update',
  );
  expect(outcome).toMatchObject({
    exitCode: 11,
    result: {
      outcome: 'not-restored',
      error: expect.stringMatching(
        new RegExp(
          `restart-services: .*port ${port} is in use by process ${process.pid}[^]*and then: .*port ${port}`,
        ),
      ),
    },
  });

  stranger.close();
  await once(stranger, 'close');
  expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'restored');
});

/** On its end it leaves a successor with no mark of the service, in a session of its own, that answers in its place. */
const escaping: Edit = (folder) => {
  replaceIn(folder, 'appliance.yaml', 'stop: { timeout: 300ms }', 'stop: { timeout: 10s }');
  writeFileSync(
    join(folder, 'api/escaped.js'),
    `import { createServer } from 'node:http';
createServer((_, response) => response.end('{"database":"ok","commit":"of before"}')).listen(Number(process.argv[2]), '127.0.0.1');
`,
  );
  replaceIn(
    folder,
    'api/src/server.js',
    "process.on('SIGTERM', () => undefined);",
    `const { connect } = await import('node:net');
process.on('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
  spawn('setsid', ['env', '-i', process.execPath, 'escaped.js', process.env.PORT], { stdio: 'ignore' });
  const exitWhenItAnswers = () =>
    connect(Number(process.env.PORT), '127.0.0.1')
      .once('connect', () => process.exit(0))
      .once('error', () => setTimeout(exitWhenItAnswers, 10));
  exitWhenItAnswers();
});`,
  );
};

test('the version of before still answers through a process that escaped: it is ended, and the new one runs', async (context) => {
  const escapes = await ledger.sandbox.publish(escaping, { onto: installed });
  expect(await ledger.run('update')).toMatchObject({ exitCode: 0 });
  const commit = await ledger.sandbox.publish(good, { onto: escapes });

  expect(await ledger.run('update')).toMatchObject({ exitCode: 0, error: '' });

  expect(await ledger.answeringCommit()).toBe(commit);
  expect(findListeners(ledger.apiPort)).toEqual([(await ledger.pids())['api']]);
  tally(context, 'completed');
});

/** Every process of the appliance's services. */
function family(): number[] {
  const { services } = ledger.open().state;
  return ['api', 'web'].flatMap((name) => findByEnvironment('HOLDFAST_SERVICE', `${services}/${name}`));
}
