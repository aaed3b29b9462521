import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ExternalServer } from '../../../orchestrator/database/external.ts';
import { freePort } from '../../../orchestrator/lib/ports.ts';
import { Secrets } from '../../../orchestrator/lib/secrets.ts';
import { applianceIn } from '../support/an-appliance.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

function serverAt(url: string): ExternalServer {
  return new ExternalServer({
    ...{ variables: ['DATABASE_URL'], adminVariable: undefined, fence: 'auto', secrets: new Secrets() },
    environment: () => ({ DATABASE_URL: url }),
  });
}

test('an external database is reachable where somebody accepts, and its password is not told', async () => {
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  expect(await serverAt(`postgres://app:hunter22@127.0.0.1:${port}/shop`).glance()).toEqual({
    ...{ kind: 'external', ok: true, host: `127.0.0.1:${port}`, text: `reachable at 127.0.0.1:${port}` },
  });
  server.close();
});

test('one that does not answer is told, within the time that status has', async () => {
  const port = await freePort();
  const startedAt = performance.now();
  expect(await serverAt(`postgres://app@127.0.0.1:${port}/shop`).glance()).toMatchObject({
    ...{ ok: false, text: `does not answer at 127.0.0.1:${port}` },
  });
  expect(await serverAt(`postgres://app@localhost/shop?host=${temporaryFolder()}`).glance()).toMatchObject({
    ok: false,
  });
  expect(performance.now() - startedAt).toBeLessThan(1000);
});

test('an address that nobody knows is a remark, and no error', async () => {
  expect(await serverAt('').glance()).toEqual({
    ...{ kind: 'external', ok: false, text: 'cannot reach the database: DATABASE_URL is not set' },
  });
});

test('an embedded database that was not made yet is not made for a look', async () => {
  const appliance = applianceIn(join(temporaryFolder()), { database: { embedded: true } });
  expect(await appliance.database?.glance()).toEqual({ kind: 'embedded', ok: false, text: 'not made yet' });
});
