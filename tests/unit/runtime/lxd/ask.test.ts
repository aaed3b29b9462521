import { chmodSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { localRuntime } from '../../../../orchestrator/runtime/local.ts';
import { askInside } from '../../../../orchestrator/runtime/lxd/ask.ts';
import { LxdClient } from '../../../../orchestrator/runtime/lxd/client.ts';
import type { Command } from '../../../../orchestrator/runtime/runtime.ts';
import { needs } from '../../../support/needs.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/*
 * With a real curl, and a client that enters a container which is this machine: it runs what stands behind --.
 */

let client: LxdClient;
let commands: Command[];
let server: Server | undefined;
let heard: IncomingHttpHeaders;
let answer: { status: number; body: string; delayMs: number };

beforeEach(async (context) => {
  needs(context, 'curl');
  const program = join(temporaryFolder(), 'lxc');
  writeFileSync(program, '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n');
  chmodSync(program, 0o755);
  commands = [];
  const machine = {
    ...localRuntime,
    run: async (...[command, options]: Parameters<typeof localRuntime.run>) => {
      commands.push(command);
      return await localRuntime.run(command, options);
    },
  };
  client = new LxdClient(machine, program, 'default');
  answer = { status: 200, body: '{"database":"ok"}', delayMs: 0 };
  const listening = createServer((request, response) => {
    heard = request.headers;
    setTimeout(() => response.writeHead(answer.status).end(answer.body), answer.delayMs);
  });
  server = listening;
  await new Promise<void>((resolve) => {
    listening.listen(0, '127.0.0.1', resolve);
  });
});

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

const url = () => `http://127.0.0.1:${((server as Server).address() as AddressInfo).port}/health?x="1"`;
const ask = async (options: Partial<Parameters<typeof askInside>[3]> = {}) =>
  await askInside(client, 'shop-backend', url(), { inside: 'backend', timeoutMs: 5000, ...options });

describe('a question from inside a container', () => {
  test.each([
    [200, '{"database":"ok"}'],
    [503, 'not yet\n\n'],
    [404, ''],
    [200, 'ends like a status\n200'],
  ])('is answered with %i and the body as it came: %j', async (status, body) => {
    answer = { status, body, delayMs: 0 };
    expect(await ask()).toEqual({ status, body });
  });

  test('is asked in the container of its place', async () => {
    await ask();
    expect(commands).toHaveLength(1);
    const { args = [] } = commands[0] ?? {};
    expect(args.slice(0, 6)).toEqual(['--project', 'default', 'exec', '-T', 'shop-backend', '--']);
    expect(args.slice(-3)).toEqual(['curl', '--config', '-']);
  });

  test('headers arrive as they are, and stand in no list of processes', async () => {
    const token = String.raw`a "quoted" \n back\slash, 'and' $HOME`;
    await ask({ headers: { 'x-gate': token, accept: 'text/plain' } });
    expect(heard).toMatchObject({ 'x-gate': token, accept: 'text/plain' });
    expect(JSON.stringify(commands[0]?.args)).not.toContain('x-gate');
  });

  test('without a word it takes JSON, or anything', async () => {
    await ask();
    expect(heard.accept).toBe('application/json, */*');
  });
});

describe('where nobody answers', () => {
  test("the error is curl's own words, and not those of the client", async () => {
    const gone = url();
    await new Promise((resolve) => {
      server?.close(resolve);
    });
    const asked = askInside(client, 'shop-backend', gone, { inside: 'backend', timeoutMs: 5000 });
    await expect(asked).rejects.toThrow(/^(Failed to connect|Could not connect)[^\n]*$/);
  });

  test('for longer than it may take, it is over in time', async () => {
    answer.delayMs = 10_000;
    const began = Date.now();
    await expect(ask({ timeoutMs: 300 })).rejects.toThrow(/timed out/i);
    expect(Date.now() - began).toBeLessThan(5000);
  });

  test('who asked may give up, with the reason', async () => {
    answer.delayMs = 10_000;
    const giveUp = new AbortController();
    const asked = ask({ signal: giveUp.signal });
    const reason = new Error('interrupted by SIGINT');
    setTimeout(() => giveUp.abort(reason), 100);
    await expect(asked).rejects.toBe(reason);
  });

  test('a container that does not run is told as the client tells it', async () => {
    writeFileSync(client.program, '#!/bin/sh\necho "Error: Instance is not running" >&2\nexit 1\n');
    await expect(ask()).rejects.toThrow('Instance is not running');
  });
});
