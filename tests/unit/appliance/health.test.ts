import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { findHealthProblem } from '../../../orchestrator/appliance/health.ts';
import { applianceIn } from '../support/an-appliance.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const servers: ReturnType<typeof createServer>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** What is said of the health of a service that answers so. */
async function problemWith(listener: RequestListener): Promise<string | undefined> {
  const server = createServer(listener);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const folder = temporaryFolder();
  const health = { url: 'http://127.0.0.1:{port}/health', expect: { '/database': 'ok' } };
  const appliance = applianceIn(folder, {
    env: { files: ['.env'] },
    services: { api: { start: 'x', port, health } },
  });
  writeFileSync(join(appliance.directory, '.env'), 'API_KEY=hunter22-hunter22\n');
  const service = appliance.config.services['api'];
  if (!service) throw new Error('no service');
  return (await findHealthProblem(appliance, service))?.replace(String(port), 'PORT');
}

test('a healthy service has no problem', async () => {
  expect(await problemWith((_, answer) => answer.end('{"database":"ok"}'))).toBeUndefined();
});

test('what an unhealthy service says is shown', async () => {
  const starting: RequestListener = (_, answer) => answer.writeHead(503).end('{"error":"no\n  database"}\n');
  expect(await problemWith(starting)).toBe(
    'http://127.0.0.1:PORT/health answers 503: {"error":"no database"}',
  );
  expect(await problemWith((_, answer) => answer.end('{"database":"gone","since":3}'))).toBe(
    'http://127.0.0.1:PORT/health says /database is "gone" instead of "ok": {"database":"gone","since":3}',
  );
  expect(await problemWith((_, answer) => answer.end('<html>\u001b[2J'))).toBe(
    'http://127.0.0.1:PORT/health answers 200, but no JSON: <html> [2J',
  );
  expect(await problemWith((_, answer) => answer.writeHead(500).end())).toBe(
    'http://127.0.0.1:PORT/health answers 500',
  );
});

test('only its beginning, with secrets masked before it is cut', async () => {
  const text = `${'x'.repeat(190)} hunter22-hunter22 ${'y'.repeat(500)}`;
  expect(await problemWith((_, answer) => answer.writeHead(500).end(text))).toBe(
    `http://127.0.0.1:PORT/health answers 500: ${'x'.repeat(190)} *** yyyyy...`,
  );
});
