import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { Appliance } from '../../../orchestrator/appliance/appliance.ts';
import { closeGate, gateEnvironment, openGate, type Gate } from '../../../orchestrator/appliance/gate.ts';
import { ask } from '../../../orchestrator/appliance/http.ts';
import { applianceIn } from '../support/an-appliance.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const preload = resolve(import.meta.dirname, '../../../orchestrator/appliance/gate-preload.cjs');

/** A service that counts what reaches it, as any Node service would be written. */
const server = `
  const http = require('node:http');
  let reached = 0;
  const server = http.createServer((request, response) => { reached += 1; response.end('reached ' + reached); });
  server.on('upgrade', (request, socket) => { reached += 1; socket.end('HTTP/1.1 101 Switching Protocols\\r\\n\\r\\n'); });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;
const http2Server = `
  const server = require('node:http2').createServer();
  server.on('stream', (stream) => { stream.respond({ ':status': 200 }); stream.end('reached'); });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** Starts a Node of its own behind the gate, as a service is started; resolves to its port. */
async function start(
  appliance: Appliance,
  gate: Gate,
  code: string,
  omit: readonly string[] = [],
): Promise<number> {
  const service = appliance.config.services['api'];
  if (!service) throw new Error('there is no service');
  const environment = gateEnvironment(appliance, service, gate, undefined);
  for (const name of omit) delete environment[name];
  const child = spawn(process.execPath, ['-e', code], {
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return Number(line.toString());
}

function closed(): { appliance: Appliance; gate: Gate } {
  const folder = temporaryFolder();
  const appliance = applianceIn(folder, { services: { api: { start: 'x' } } });
  mkdirSync(appliance.program.runner);
  copyFileSync(preload, join(appliance.program.runner, 'gate-preload.cjs'));
  return { appliance, gate: closeGate(appliance, 'r1') };
}
const get = async (port: number, headers: Record<string, string> = {}) =>
  await ask(`http://127.0.0.1:${port}/`, { timeoutMs: 8000, headers });

describe('while the gate is closed', () => {
  test('a request from outside is refused with 503 and when to come again, and never reaches the service', async () => {
    const { appliance, gate } = closed();
    const port = await start(appliance, gate, server);
    const answer = await get(port);
    expect([answer.status, answer.headers['retry-after'], answer.headers['holdfast-gate']]).toEqual([
      503,
      '2',
      'closed',
    ]);
    expect(JSON.parse(answer.body)).toMatchObject({ error: { code: 'UPDATING' } });
    expect((await get(port, { 'holdfast-gate': 'guessed' })).status).toBe(503);
    expect((await get(port, { 'holdfast-gate': gate.token })).body).toBe('reached 1');
  });

  test('a request with a body that is still coming is refused at once', async () => {
    const { appliance, gate } = closed();
    const port = await start(appliance, gate, server);
    const socket = connect(port, '127.0.0.1');
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nbeginning');
    const [head] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    expect(head.toString()).toMatch(/^HTTP\/1\.1 503 /);
  });

  test('an upgrade to a WebSocket is refused, too', async () => {
    const { appliance, gate } = closed();
    const port = await start(appliance, gate, server);
    const socket = connect(port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    const [head] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    expect(head.toString()).toMatch(/^HTTP\/1\.1 503 /);
  });

  test('a request by HTTP/2 is refused, too, and passes with the token', async () => {
    const { appliance, gate } = closed();
    const port = await start(appliance, gate, http2Server);
    const { connect: connectHttp2 } = await import('node:http2');
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    const statusOf = async (headers: Record<string, string>) => {
      const stream = session.request({ ':path': '/', ...headers });
      const [answer] = (await once(stream, 'response')) as [{ ':status'?: number }];
      stream.close();
      return answer[':status'];
    };
    expect([await statusOf({}), await statusOf({ 'holdfast-gate': gate.token })]).toEqual([503, 200]);
    session.destroy();
  });

  test('a service that lost its token lets nobody in, rather than everybody', async () => {
    const { appliance, gate } = closed();
    const port = await start(appliance, gate, server, ['HOLDFAST_GATE_TOKEN']);
    expect((await get(port)).status).toBe(503);
  });
});

describe('once it is open', () => {
  test('everything passes at once, on the very same process, and nothing is refused any more', async () => {
    const { appliance, gate } = closed();
    const port = await start(appliance, gate, server);
    expect((await get(port)).status).toBe(503);
    openGate(appliance);
    const answers = await Promise.all(Array.from({ length: 20 }, async () => await get(port)));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    // Should a later run close its own gate, this process is not behind it.
    closeGate(appliance, 'r1');
    expect((await get(port)).status).toBe(200);
  });

  test('opening twice is no error, and opens what several runs have closed', () => {
    const { appliance, gate } = closed();
    const other = closeGate(appliance, 'r2');
    openGate(appliance);
    openGate(appliance);
    expect([existsSync(gate.file), existsSync(other.file)]).toEqual([false, false]);
    rmSync(appliance.state.path, { recursive: true });
    openGate(appliance);
  });

  test('a service that starts then is not touched at all', async () => {
    const { appliance, gate } = closed();
    openGate(appliance);
    expect((await get(await start(appliance, gate, server))).body).toBe('reached 1');
  });
});

test("each gate has a token of its own, and its file is nobody else's to read", () => {
  const { appliance, gate } = closed();
  expect(closeGate(appliance, 'r2').token).not.toBe(gate.token);
  expect(gate.token.length).toBeGreaterThanOrEqual(32);
  expect(statSync(gate.file).mode & 0o777).toBe(0o600);
});
