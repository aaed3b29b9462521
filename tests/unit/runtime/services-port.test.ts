import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { freePort } from '../../../orchestrator/lib/ports.ts';
import { localRuntime } from '../../../orchestrator/runtime/local.ts';
import type { ServiceLaunch, StopPolicy } from '../../../orchestrator/runtime/runtime.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/*
 * On its way out a process loses its environment first, then its first thread, and its ports last. On a busy machine
 * that takes milliseconds, in which a service that is believed to be gone still holds its port.
 */
const rounds = 12;
const busy: ChildProcess[] = [];
beforeAll(() => {
  for (let i = 0; i < 4; i += 1) busy.push(spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }));
});
afterAll(() => {
  for (const loop of busy) loop.kill('SIGKILL');
});

async function listenBriefly(port: number): Promise<void> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
}

// Its files are shared by several threads, as in every Node process.
const listen = (port: number) =>
  `require('net').createServer().listen(${port}, '127.0.0.1', () => console.log('ready'));` +
  `require('fs').readFile('/etc/passwd', () => {});`;

test.each([
  ['it is the main process', (node: string) => ['sh', '-c', `exec ${node}`]],
  ['its main process ends before it', (node: string) => ['sh', '-c', `${node} & wait`]],
  ['it is a grandchild in a group of its own', (node: string) => ['sh', '-c', `setsid ${node} & wait`]],
])('the port of a service is free when it is stopped: %s', { timeout: 60_000 }, async (_, argv) => {
  const folder = temporaryFolder();
  const policy: StopPolicy = { signal: 'SIGTERM', timeoutMs: 8000, kill: 'group' };
  for (let round = 0; round < rounds; round += 1) {
    const port = await freePort();
    const logFile = join(folder, `${round}.log`);
    const service: ServiceLaunch = {
      ...{ name: 'api', stateFolder: folder, cwd: '/', logFile },
      argv: argv(`'${process.execPath}' -e "${listen(port)}"`),
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    };
    await localRuntime.startService(service);
    await vi.waitFor(() => expect(readFileSync(logFile, 'utf8')).toContain('ready'), 8000);
    await localRuntime.stopService(service, policy);
    await listenBriefly(port);
  }
});
