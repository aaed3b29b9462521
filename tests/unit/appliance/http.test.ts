import { createServer, type RequestListener } from 'node:http';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { ask, atPointer } from '../../../orchestrator/appliance/http.ts';

const servers: ReturnType<typeof createServer>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** The address of a server that answers so. */
async function serving(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
}

describe('a JSON pointer', () => {
  const document = { a: { b: [10, { c: null }] }, '': 1, 'x/y': 2, 'm~n': 3, '~1': 4, length: 5 };

  test.each([
    ['/a/b/0', 10],
    ['/a/b/1/c', null],
    ['/', 1],
    ['/x~1y', 2],
    ['/m~0n', 3],
    ['/~01', 4],
    ['/length', 5],
    ['', document],
  ])('%s finds what it names (RFC 6901)', (pointer, value) => {
    expect(atPointer(document, pointer)).toBe(value);
  });

  test.each(['/none', '/a/b/2', '/a/b/0/c', '/a/b/1/c/d', '/constructor', '/toString', '/a/__proto__'])(
    '%s finds nothing',
    (pointer) => {
      expect(atPointer(document, pointer)).toBeUndefined();
    },
  );

  test('in something that is no document finds nothing', () => {
    for (const value of [null, undefined, 'text', 3]) expect(atPointer(value, '/length')).toBeUndefined();
  });
});

describe('asking', () => {
  test('tells status, headers and body, and says who it is', async () => {
    const url = await serving((request, response) => {
      response.writeHead(503, { 'retry-after': '2' });
      response.end(`${request.method} ${request.url} ${String(request.headers['holdfast-gate'])} é`);
    });
    const answer = await ask(`${url}/x?y`, {
      timeoutMs: 1000,
      method: 'PUT',
      headers: { 'holdfast-gate': 't' },
    });
    expect([answer.status, answer.headers['retry-after'], answer.body]).toEqual([503, '2', 'PUT /x?y t é']);
  });

  test('uses a new connection each time: a kept one could lead to a process that is gone', async () => {
    const ports = new Set<number | undefined>();
    const url = await serving((request, response) => {
      ports.add(request.socket.remotePort);
      response.end();
    });
    for (let times = 0; times < 3; times += 1) await ask(url, { timeoutMs: 1000 });
    expect(ports.size).toBe(3);
  });

  test('a server that does not answer is told in time', async () => {
    const url = await serving(() => {});
    await expect(ask(url, { timeoutMs: 50 })).rejects.toThrow('no whole answer within 50 ms');
  });

  test('one that drips its answer for ever gets no more time than any other', async () => {
    const url = await serving((_request, response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write('.'), 5);
      response.once('close', () => clearInterval(drip));
    });
    await expect(ask(url, { timeoutMs: 100 })).rejects.toThrow('no whole answer within 100 ms');
  });

  test('an answer without an end is cut off', async () => {
    const url = await serving((_request, response) => {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
        response.once('drain', more);
      };
      more();
    });
    await expect(ask(url, { timeoutMs: 10_000 })).rejects.toThrow('the answer is longer than 4');
  });

  test('a server that begins to answer and breaks off has not answered', async () => {
    const url = await serving((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"commit":');
      setTimeout(() => response.destroy(), 10);
    });
    await expect(ask(url, { timeoutMs: 1000 })).rejects.toThrow(/aborted|hang up|ECONNRESET/);
  });

  test('it stops when it is told to, and where nobody listens it says so', async () => {
    const url = await serving(() => {});
    await expect(ask(url, { timeoutMs: 5000, signal: AbortSignal.timeout(20) })).rejects.toThrow('aborted');
    await expect(ask('http://127.0.0.1:1/', { timeoutMs: 1000 })).rejects.toThrow('ECONNREFUSED');
  });
});
