import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { freePort } from '../../../orchestrator/lib/ports.ts';
import { eventOf, notifyAll, type Notification } from '../../../orchestrator/pipeline/notify.ts';
import { applianceIn } from '../support/an-appliance.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const restored: Notification = {
  event: 'restored',
  appliance: 'shop',
  run: '20260101-020000',
  from: 'v1',
  to: 'v2',
  message: 'RESTORED to v1',
  outageMs: 1200,
};

let server: Server | undefined;
afterEach(() => void server?.close());

/** A webhook that answers with a status, and what it was sent. */
async function webhook(status: number): Promise<{ url: string; bodies: unknown[] }> {
  const bodies: unknown[] = [];
  server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      bodies.push(JSON.parse(text));
      response.writeHead(status).end();
    });
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${port}/hook`, bodies };
}

test('a command gets the facts on its standard input and in its environment', async () => {
  const folder = temporaryFolder();
  const command = ['sh', '-c', 'cat > told; printf %s "$HOLDFAST_EVENT" > event'];
  const appliance = applianceIn(folder, { notify: [{ command }] });

  await notifyAll(appliance, restored, (message) => expect.fail(message));

  expect(JSON.parse(readFileSync(join(appliance.directory, 'told'), 'utf8'))).toEqual(restored);
  expect(readFileSync(join(appliance.directory, 'event'), 'utf8')).toBe('restored');
});

test('a webhook is posted to, for the events that it asked for and no others', async () => {
  const { url, bodies } = await webhook(204);
  const appliance = applianceIn(temporaryFolder(), { notify: [{ url, on: ['restored'] }] });

  await notifyAll(appliance, restored, (message) => expect.fail(message));
  await notifyAll(appliance, { ...restored, event: 'updated' }, (message) => expect.fail(message));

  expect(bodies).toEqual([restored]);
});

test('one that fails is a warning, and the others are told all the same', async () => {
  const { url, bodies } = await webhook(500);
  const notify = [{ command: 'false' }, { url }, { url: 'http://127.0.0.1:1/nobody' }];
  const warnings: string[] = [];

  await notifyAll(
    applianceIn(temporaryFolder(), { notify }),
    restored,
    (message) => void warnings.push(message),
  );

  expect(bodies).toHaveLength(1);
  expect(warnings).toHaveLength(3);
});

test('the URL, or a part of it, comes from an env file; what it is told nowhere, only the host of one that is written out', async () => {
  const { url, bodies } = await webhook(204);
  const folder = temporaryFolder();
  const appliance = applianceIn(folder, {
    env: { set: { HOOK: url, TOKEN: 'hook-token' } },
    notify: [
      { url: '{env.HOOK}' },
      { url: 'http://127.0.0.1:1/{env.TOKEN}' },
      { url: '{env.NONE}' },
      { url: 'http://127.0.0.1:1/hook-token' },
    ],
  });
  const warnings: string[] = [];

  await notifyAll(appliance, restored, (message) => void warnings.push(message));

  expect(bodies).toEqual([restored]);
  expect(warnings.join('\n')).toContain('could not notify http://127.0.0.1:1: ');
  expect(warnings.join('\n')).toContain('could not notify the webhook of notify: cannot fill {env.NONE}');
  expect(warnings.join('\n')).not.toContain('hook-token');
});

test('every outcome has an event', () => {
  expect(eventOf('restored')).toBe('restored');
  expect(eventOf('backed-up')).toBe('backup');
  expect(eventOf('failed-unchanged')).toBe('refused');
});
