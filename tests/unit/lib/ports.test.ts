import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { findListeners, freePort, isPortTaken } from '../../../orchestrator/lib/ports.ts';

test.each(['127.0.0.1', '0.0.0.0', undefined])('who listens on %s is found by its port', async (host) => {
  const server = createServer();
  const port = await freePort();
  expect(findListeners(port)).toEqual([]);
  server.listen({ port, host });
  await once(server, 'listening');
  expect(findListeners(port)).toEqual([process.pid]);
  expect(findListeners(port, (pid) => pid !== process.pid)).toEqual([]);
  expect(await isPortTaken(port)).toBe(true);
  server.close();
  await once(server, 'close');
  expect(findListeners(port)).toEqual([]);
});
