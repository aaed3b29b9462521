import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { localRuntime } from '../../../../orchestrator/runtime/local.ts';
import { LxdClient } from '../../../../orchestrator/runtime/lxd/client.ts';
import { setUpContainers } from '../../../../orchestrator/runtime/lxd/setup.ts';
import type { Command } from '../../../../orchestrator/runtime/runtime.ts';
import { FakeDaemon, layoutFor, shippedDefinitions } from '../../support/a-daemon.ts';
import { refusalOf } from '../../support/refusal.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

let said: string[];
beforeEach(() => {
  said = [];
});

const setUp = async (client: LxdClient, { hasDatabase = true } = {}) =>
  await setUpContainers({
    ...{ client, hasDatabase, layout: layoutFor(), definitions: shippedDefinitions, directory: '/srv/shop' },
    ...{ node: process.execPath, users: [0, 1000], mounts: { postgres: [], backend: [], frontend: [] } },
    say: (line) => void said.push(line),
  });

describe('setting up where the client does not come through is refused', () => {
  /** A client of that name that says this and fails. */
  const saying = (name: string, words: string) => {
    const program = join(temporaryFolder(), name);
    writeFileSync(program, `#!/bin/sh\ncat >&2 <<'END'\n${words}\nEND\nexit 1\n`);
    chmodSync(program, 0o755);
    return new LxdClient(localRuntime, program, 'default');
  };

  test('there is none: with what to install', async () => {
    const client = new LxdClient(localRuntime, 'lxc-that-nobody-has', 'default');
    const refusal = await refusalOf(async () => await setUp(client));
    expect(refusal.message).toContain('there is no lxc-that-nobody-has on this machine');
    expect(refusal.next).toContain('apt-get install -y lxd');
  });

  test.each([
    [
      'lxc',
      'Error: Get "http://unix.socket/1.0": dial unix /var/lib/lxd/unix.socket: connect: permission denied',
      'adduser "$USER" lxd,',
    ],
    [
      'incus',
      "Error: You don't have the needed permissions to talk to the incus daemon (socket path: /var/lib/incus/unix.socket)",
      'adduser "$USER" incus-admin,',
    ],
  ])('%s may not be used by this user: with the group to join', async (name, words, next) => {
    const refusal = await refusalOf(async () => await setUp(saying(name, words)));
    expect(refusal.message).toContain('this user may not speak to the daemon');
    expect(refusal.next).toContain(next);
    expect(refusal.next).toContain('or run it as root');
  });

  test.each([
    [
      'lxc',
      'Error: Get "http://unix.socket/1.0": dial unix /var/lib/lxd/unix.socket: connect: no such file or directory',
      'systemctl start lxd',
    ],
    [
      'lxc',
      'Error: Get "http://unix.socket/1.0": dial unix /var/lib/lxd/unix.socket: connect: connection refused',
      'systemctl start lxd',
    ],
    [
      'incus',
      "Error: The incus daemon doesn't appear to be started (socket path: /var/lib/incus/unix.socket)",
      'systemctl start incus',
    ],
  ])('the daemon of %s is away: with how to start it (%s)', async (name, words, next) => {
    const refusal = await refusalOf(async () => await setUp(saying(name, words)));
    expect(refusal.message).toContain('does not answer');
    expect(refusal.next).toContain(next);
  });
});

describe('setting up', () => {
  const ready = () => {
    const daemon = new FakeDaemon();
    daemon.prints = ({ args }: Command) => {
      const at = args.indexOf('--alias');
      if (at !== -1) daemon.things.set(`images/aliases/${args[at + 1] ?? ''}`, { target: 'f00' });
      return '';
    };
    return daemon;
  };

  test('makes each thing after what it needs, and waits until all of it is up', async () => {
    const daemon = ready();
    await setUp(daemon.client);
    const made = daemon.changes
      .filter(({ method }) => method === 'POST')
      .map(({ body }) => (body as { name: string }).name);
    expect(made).toEqual([
      ...['holdfast', 'hf-shop', 'shop-postgres', 'holdfast-making-postgres', 'shop-postgres'],
      ...['holdfast-making-node', 'shop-backend', 'shop-frontend'],
    ]);
    expect(daemon.commands.flatMap(({ label }) => (label?.startsWith('boot of') ? [label] : []))).toEqual([
      ...['boot of shop-postgres', 'boot of shop-backend', 'boot of shop-frontend'],
    ]);
  });

  test('run twice it changes nothing, and says nothing', async () => {
    const daemon = ready();
    await setUp(daemon.client);
    daemon.changes.length = said.length = 0;
    await setUp(daemon.client);
    expect([daemon.changes, said]).toEqual([[], []]);
  });

  test('an appliance without a database of its own has none in a container', async () => {
    const daemon = ready();
    await setUp(daemon.client, { hasDatabase: false });
    expect([...daemon.things.keys()].filter((path) => path.includes('postgres'))).toEqual([]);
    expect([...daemon.things.keys()]).toEqual(
      expect.arrayContaining(['instances/shop-backend', 'instances/shop-frontend']),
    );
  });
});
