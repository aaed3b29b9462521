import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parseEngineArguments } from '../../orchestrator/schema-migrations/engine/arguments.ts';
import { parseConnectionUrl } from '../../orchestrator/schema-migrations/engine/connection-url.ts';
import { encodeMessage, linesOf, parseRequest } from '../../orchestrator/schema-migrations/engine/rpc.ts';
import { describePosition } from '../../orchestrator/schema-migrations/engine/script-error.ts';
import { EngineServer } from '../../orchestrator/schema-migrations/engine/server.ts';

describe('parseEngineArguments', () => {
  test('reads what the CLI passes', () => {
    const datasource = JSON.stringify({ url: 'postgresql://h/d', shadowDatabaseUrl: 'postgresql://h/s' });
    const argv = ['--datamodels', 'a.prisma', '--datamodels', 'b.prisma', '--datasource', datasource];
    expect(parseEngineArguments([...argv, '--enabled-preview-features', 'views'])).toEqual({
      command: 'serve',
      datasource: { url: 'postgresql://h/d', shadowDatabaseUrl: 'postgresql://h/s' },
      datamodels: ['a.prisma', 'b.prisma'],
    });
    expect(parseEngineArguments(['--datasource', datasource, 'cli', 'create-database']).command).toBe(
      'create-database',
    );
    expect(parseEngineArguments(['--version']).command).toBe('version');
    expect(parseEngineArguments([])).toEqual({ command: 'serve', datasource: {}, datamodels: [] });
  });

  test.each([
    [['--datasource'], '--datasource needs a value'],
    [['--datasource', 'postgresql://user:secret@h/d'], '--datasource wants JSON'],
    [['cli', 'rename-database'], 'cli wants one of'],
    [['--frobnicate'], 'unknown argument --frobnicate'],
    [['postgresql://user:secret@h/d'], 'unknown argument that is neither an option nor "cli"'],
  ])('refuses %j', (argv, message) => {
    expect(() => parseEngineArguments(argv)).toThrow(message);
    expect(() => parseEngineArguments(argv)).not.toThrow('secret');
  });
});

describe('parseConnectionUrl', () => {
  test('understands sockets, schema, timeouts and what is percent-encoded', () => {
    const url =
      'postgresql://us%40er:p%2Fw@ignored:5433/my%20db?host=%2Frun%2Fa%20b&schema=shop&connect_timeout=0';
    expect(parseConnectionUrl(url)).toMatchObject({
      host: '/run/a b',
      port: 5433,
      user: 'us@er',
      password: 'p/w',
      database: 'my db',
      schema: 'shop',
      connectTimeoutMs: 0,
    });
    const plain = parseConnectionUrl('postgres://[::1]/d');
    expect(plain).toMatchObject({
      host: '::1',
      port: 5432,
      schema: 'public',
      tls: 'prefer',
      connectTimeoutMs: 5000,
    });
  });

  test.each([
    ['sslmode=disable', { tls: 'disable', verifyCertificate: false, verifyHostName: false }],
    ['sslmode=require', { tls: 'require', verifyCertificate: false, verifyHostName: false }],
    ['sslmode=verify-ca', { tls: 'require', verifyCertificate: true, verifyHostName: false }],
    ['sslmode=verify-full', { tls: 'require', verifyCertificate: true, verifyHostName: true }],
    ['sslmode=require&sslaccept=strict', { tls: 'require', verifyCertificate: true, verifyHostName: true }],
  ])('%s', (query, expected) => {
    expect(parseConnectionUrl(`postgresql://h/d?${query}`)).toMatchObject(expected);
  });

  test.each([
    'mysql://u:secret@h/d',
    'not a url secret',
    'postgresql://h:x/d?secret',
    'postgresql://h/d?connect_timeout=x',
  ])('refuses %s without repeating it', (url) => {
    expect(() => parseConnectionUrl(url)).toThrow('The provided database string is invalid');
    expect(() => parseConnectionUrl(url)).not.toThrow('secret');
  });
});

describe('the protocol', () => {
  test('lines end at line feeds only, wherever the stream is cut', async () => {
    const bytes = Buffer.from('{"a":"é\u2028"}\n{"b":1}\nrest');
    const chunks = Array.from(bytes, (byte) => Buffer.from([byte]));
    const lines: string[] = [];
    for await (const line of linesOf(Readable.from(chunks))) lines.push(line);
    expect(lines).toEqual(['{"a":"é\u2028"}', '{"b":1}']);
  });

  test('an answer is one line for readline too', () => {
    const line = encodeMessage({
      id: 1,
      result: { text: 'a\u2028b\u2029c\nd', counts: new Map([['n', 2n]]) },
    });
    expect(line.trimEnd()).not.toMatch(/[\n\u2028\u2029]/);
    expect(JSON.parse(line)).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: { text: 'a\u2028b\u2029c\nd', counts: { n: 2 } },
    });
  });

  test('the answer to our print is no request', () => {
    expect(parseRequest('{"id":"print-1","jsonrpc":"2.0","result":{}}')).toBeUndefined();
  });

  test('every request is answered once, in turn, also when the engine gives up', async () => {
    const written: string[] = [];
    const server = new EngineServer(
      async (method) => (method === 'never' ? await new Promise(() => undefined) : { stdout: 'shown\n' }),
      (line) => written.push(line),
    );
    server.receive('{"id":1,"method":"diff","params":{}}');
    server.receive('{"id":2,"method":"never"}');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(server.unanswered).toEqual(['never']);
    server.failOpen(new Error('cannot go on'));
    server.failOpen(new Error('cannot go on'));
    expect(written.map((line) => JSON.parse(line) as unknown)).toEqual([
      { jsonrpc: '2.0', id: 'print-1', method: 'print', params: { content: 'shown' } },
      { jsonrpc: '2.0', id: 1, result: { stdout: 'shown\n' } },
      expect.objectContaining({ id: 2, error: expect.objectContaining({ code: 4466 }) }),
    ]);
  });
});

test('describePosition counts characters, not bytes or UTF-16 units', () => {
  expect(describePosition('-- é😀\nSELECT nope;', 14)).toBe('\nPosition:\n    1 -- é😀\n>   2 SELECT nope;');
  expect(describePosition('SELECT 1', Number.NaN)).toBe('');
});

test('runs from source, with the WebAssembly file of the package', async () => {
  const main = join(import.meta.dirname, '../../orchestrator/schema-migrations/engine/main.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [main, '--version']);
  expect(stdout).toMatch(/^schema-engine-cli [0-9a-f]{40}\n$/);
});
