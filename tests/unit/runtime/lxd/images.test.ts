import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ensureImage, type ImageKind } from '../../../../orchestrator/runtime/lxd/images.ts';
import type { Command } from '../../../../orchestrator/runtime/runtime.ts';
import { FakeDaemon, layoutFor } from '../../support/a-daemon.ts';
import { refusalOf } from '../../support/refusal.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const base = 'images/aliases/holdfast-debian-12';
const words = ({ file, args }: Command) => [file, ...args].join(' ');

let daemon: FakeDaemon;
let said: string[];
/** What a command does, by a word of it. */
let does: Record<string, (command: Command) => string | undefined>;

beforeEach(() => {
  said = [];
  daemon = new FakeDaemon();
  does = {
    'image copy': () => void daemon.things.set(base, { target: 'ba5e' }),
    'image import': () => void daemon.things.set(base, { target: 'ba5e' }),
    publish: ({ args }) =>
      void daemon.things.set(`images/aliases/${args[args.indexOf('--alias') + 1] ?? ''}`, { target: 'f00' }),
    delete: ({ args }) => void daemon.things.delete(`instances/${args.at(-1) ?? ''}`),
    'command -v npm': () => '/opt/node/lib/node_modules/npm/bin/npm-cli.js\n',
    'npm config get': ({ args }) => (args.at(-1) === 'registry' ? 'https://npm.example/\n' : 'null\n'),
  };
  daemon.prints = (command) => {
    const [, act] = Object.entries(does).find(([what]) => words(command).includes(what)) ?? [];
    return act?.(command) ?? '';
  };
});

afterEach(() => vi.restoreAllMocks());

const ensure = async (
  kind: ImageKind,
  {
    users = [0, 1000],
    node = process.execPath,
    image = 'images:debian/12',
    mirror = 'http://a-mirror.example/debian',
  } = {},
) =>
  await ensureImage(
    {
      ...{ client: daemon.client, layout: layoutFor({ image, mirror }), node, users },
      say: (line) => void said.push(line),
    },
    kind,
  );

const ran = (what: string) => daemon.commands.filter((command) => words(command).includes(what));
const aliases = () => [...daemon.things.keys()].filter((path) => path.startsWith('images/aliases/holdfast-'));

describe('an image', () => {
  test.each(['node', 'postgres'] as const)('for %s is made once', async (kind) => {
    expect(await ensure(kind)).toBe('f00');
    expect(said[0]).toBe('fetching the image images:debian/12 ...');
    daemon.changes.length = daemon.commands.length = said.length = 0;
    expect(await ensure(kind)).toBe('f00');
    expect([daemon.changes, daemon.commands, said]).toEqual([[], [], []]);
  });

  test('for the second kind comes from the same base', async () => {
    await ensure('postgres');
    await ensure('node');
    expect(ran('image copy')).toHaveLength(1);
    expect(aliases()).toHaveLength(3);
  });

  test('that is asked for otherwise is another one; what is for the database alone has no Node', async () => {
    const differently = [
      {},
      { users: [0, 1001] },
      { image: 'local:own' },
      { node: join(temporaryFolder(), '..') },
    ];
    for (const asked of differently) await ensure('node', asked);
    expect(aliases().filter((path) => path.includes('-node-'))).toHaveLength(4);
    for (const asked of differently) await ensure('postgres', asked);
    expect(aliases().filter((path) => path.includes('-postgres-'))).toHaveLength(3);
  });

  test('has the users that are not root, its packages, and Node only where it is for code', async () => {
    await ensure('postgres');
    const installed = () => ran('apt-get install').map(({ args }) => args);
    expect(installed()).toHaveLength(1);
    expect(installed()[0]).toContain('postgresql');
    expect(ran('useradd').map(({ args }) => args.at(-1))).toEqual(['1000']);
    expect(ran('tar -c').filter((command) => words(command).includes('npm'))).toEqual([]);
    await ensure('node');
    expect(installed()[1]).toContain('git');
    expect(installed()[1]).not.toContain('postgresql');
    expect(ran('tar -c').map(words).join('\n')).toContain('/opt/node/lib/node_modules npm lxc');
  });

  test("npm inside knows this machine's registry, and nothing that it does not say", async () => {
    await ensure('node');
    const [settings] = daemon.commands.filter(({ label }) => label === 'installation of Node');
    expect(settings?.input).toBe(
      'cafile=/etc/ssl/certs/ca-certificates.crt\nregistry=https://npm.example/\n',
    );
  });
});

describe('the container that an image is made in', () => {
  test('is stopped before it is one, and away afterwards', async () => {
    await ensure('node');
    expect(daemon.changes.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST instances',
      'PUT instances/holdfast-making-node/state',
      'PUT instances/holdfast-making-node/state',
    ]);
    expect(daemon.changes.at(-1)?.body).toMatchObject({ action: 'stop' });
    expect(daemon.things.has('instances/holdfast-making-node')).toBe(false);
  });

  test('that a killed setup left behind is none to go on in', async () => {
    daemon.things.set('instances/holdfast-making-node', { status: 'Running' });
    await ensure('node');
    expect(words(daemon.commands[1] as Command)).toContain('delete --force holdfast-making-node');
  });

  test('is away, too, when the installation fails; the next setup begins anew', async () => {
    const failing = new Error('installation of packages failed (exit 100): E: no network');
    does['apt-get install'] = () => {
      throw failing;
    };
    await expect(ensure('postgres')).rejects.toBe(failing);
    expect(daemon.things.has('instances/holdfast-making-postgres')).toBe(false);
    expect(aliases()).toEqual([base]);
    delete does['apt-get install'];
    expect(await ensure('postgres')).toBe('f00');
  });
});

describe('where no image server can be reached', () => {
  beforeEach(() => {
    does['image copy'] = () => {
      throw new Error('lxc image failed (exit 1): warning\nError: no route to host');
    };
  });

  test('root builds the base, and leaves nothing of that on this machine', async () => {
    vi.spyOn(process, 'getuid').mockReturnValue(0);
    let root = '';
    does['debootstrap'] = ({ args }) => {
      root = args.at(-2) ?? '';
      for (const folder of ['etc/systemd/network', '../templates'])
        mkdirSync(join(root, folder), { recursive: true });
      return '';
    };
    expect(await ensure('postgres')).toBe('f00');
    expect(said).toContain(
      'images:debian/12 cannot be had (Error: no route to host): building it with debootstrap ...',
    );
    const [made] = ran('image import');
    expect(made?.args).toEqual(expect.arrayContaining(['--alias', 'holdfast-debian-12']));
    expect(root).not.toBe('');
    expect(ran('debootstrap')[0]?.args.at(-1)).toBe('http://a-mirror.example/debian');
    expect(existsSync(dirname(root))).toBe(false);
  });

  test('somebody else is refused, with both ways out, and nothing is made', async () => {
    vi.spyOn(process, 'getuid').mockReturnValue(1000);
    const refusal = await refusalOf(async () => await ensure('postgres'));
    expect(refusal.message).toContain('images:debian/12 cannot be had');
    expect(refusal.next).toContain('in a clone of its own and not in this one: ./run.sh setup');
    expect(refusal.next).toContain('lxd.image');
    expect(daemon.changes).toEqual([]);
    expect(ran('debootstrap')).toEqual([]);
  });

  test('an image that is there needs neither', async () => {
    vi.spyOn(process, 'getuid').mockReturnValue(1000);
    daemon.things.set(base, { target: 'ba5e' });
    expect(await ensure('postgres')).toBe('f00');
    expect(ran('image copy')).toEqual([]);
  });
});
