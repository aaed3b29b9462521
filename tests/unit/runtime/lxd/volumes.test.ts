import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { shellWord } from '../../../../orchestrator/lib/shell-word.ts';
import { lxdVolumes, recallLive } from '../../../../orchestrator/runtime/lxd/volumes.ts';
import { FakeDaemon, layoutFor } from '../../support/a-daemon.ts';
import { refusalOf } from '../../support/refusal.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const custom = 'storage-pools/holdfast/volumes/custom';
const shifted = { 'volatile.idmap.last': '[1000000]' };
const data = { type: 'disk', pool: 'holdfast', source: 'shop-postgres', path: '/var/lib/postgresql' };

let daemon: FakeDaemon;
let file: string;
/** What is mounted in the container. */
let seen: () => string;
const volumes = (name = 'shop') => lxdVolumes(daemon.client, layoutFor({}, name), file);
const device = (name: string) =>
  (
    daemon.things.get('instances/shop-postgres') as {
      devices: Record<string, { source: string } | undefined>;
    }
  ).devices[name];

beforeEach(() => {
  daemon = new FakeDaemon();
  file = join(temporaryFolder(), 'volume.json');
  daemon.things.set('storage-pools/holdfast', { driver: 'btrfs' });
  daemon.things.set('instances/shop-postgres', {
    name: 'shop-postgres',
    status: 'Running',
    devices: { data },
  });
  const names = ['shop-postgres', 'shop-postgres-two', 'shop-postgres.backup-1', 'other'];
  for (const name of names)
    daemon.things.set(`${custom}/${name}`, { name, description: `of ${name}`, config: shifted });
  daemon.things.set(custom, names.map((name) => ({ name })) as unknown as Record<string, unknown>);
  seen = () =>
    `${mountedAs.btrfs(device('data')?.source ?? '')}\n99 87 0:1 / /var/lib/postgresql/x rw - tmpfs x rw\n`;
  daemon.prints = ({ args }) => (args.includes('/proc/self/mountinfo') ? seen() : '');
});

/** As the kernel tells what is mounted, in the storage of each driver. */
const mountedAs = {
  btrfs: (volume: string) =>
    `87 74 0:41 /custom/default_${volume} /var/lib/postgresql rw - btrfs /dev/loop0 rw`,
  dir: (volume: string) =>
    `87 74 8:1 /var/lib/lxd/storage-pools/p/custom/default_${volume} /var/lib/postgresql rw - ext4 /dev/sda1 rw`,
  zfs: (volume: string) =>
    `87 74 0:41 / /var/lib/postgresql rw shared:1 - zfs pool/custom/default_${volume} rw`,
  lvm: (volume: string) =>
    `87 74 0:41 / /var/lib/postgresql rw - ext4 /dev/mapper/p-custom_default_${volume.replaceAll('-', '--')} rw`,
};

test.each([
  ['btrfs', true],
  ['zfs', true],
  ['dir', false],
  ['lvm', false],
])('a copy in a pool of %s costs nothing: %s', async (driver, cheap) => {
  daemon.things.set('storage-pools/holdfast', { driver });
  expect(await volumes().areCheap()).toBe(cheap);
});

test('an appliance has its own volumes, and not those of one whose name goes on', async () => {
  expect(await volumes().list()).toEqual(['shop-postgres', 'shop-postgres.backup-1']);
});

test('a copy keeps how its owners are shifted, and takes the place of one that is there', async () => {
  expect(await volumes().copy('shop-postgres', 'backup-1')).toBe('shop-postgres.backup-1');
  expect(daemon.changes).toEqual([
    { method: 'DELETE', path: `${custom}/shop-postgres.backup-1`, body: undefined },
    {
      ...{ method: 'POST', path: custom },
      body: {
        ...{ name: 'shop-postgres.backup-1', description: 'of shop-postgres', config: shifted },
        source: { type: 'copy', pool: 'holdfast', name: 'shop-postgres', volume_only: true },
      },
    },
  ]);
  await expect(volumes().copy('gone', 'backup-2')).rejects.toThrow('the volume gone is gone');
});

describe('another volume in the place of the live one', () => {
  test('is noted before the container has it; what was live is set aside, until it is removed', async () => {
    expect(volumes().live()).toBe('shop-postgres');
    await volumes().use('shop-postgres.data-2', '2');
    expect(volumes().live()).toBe('shop-postgres.data-2');
    expect(device('data')).toEqual({ ...data, source: 'shop-postgres.data-2' });
    expect(volumes().setAside()).toEqual([{ volume: 'shop-postgres', mark: '2' }]);
    await volumes().remove('shop-postgres');
    expect(volumes().setAside()).toEqual([]);
    expect(daemon.things.has(`${custom}/shop-postgres`)).toBe(false);
  });

  test('killed in between, the rest is done by who comes next, and once', async () => {
    daemon.refuses = ({ method }) => (method === 'PUT' ? 'Error: killed' : undefined);
    await expect(volumes().use('shop-postgres.data-2', '2')).rejects.toThrow('killed');
    daemon.refuses = () => undefined;
    expect(volumes().live()).toBe('shop-postgres.data-2');
    expect(await volumes().isInPlace()).toBe(false);
    await volumes().use(volumes().live(), '');
    expect(await volumes().isInPlace()).toBe(true);
    expect(volumes().setAside()).toEqual([{ volume: 'shop-postgres', mark: '2' }]);
    daemon.changes.length = 0;
    await volumes().use(volumes().live(), '');
    expect(daemon.changes).toEqual([]);
  });

  test('is there for the container that is made next, where there is none', async () => {
    daemon.things.delete('instances/shop-postgres');
    await volumes().use('shop-postgres.data-2', '2');
    expect(await volumes().isInPlace()).toBe(true);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ live: 'shop-postgres.data-2' });
  });
});

describe('what the container sees', () => {
  test.each(Object.entries(mountedAs))('is the volume, in a pool of %s', async (_driver, line) => {
    seen = () => line('shop-postgres');
    expect(await volumes().isInPlace()).toBe(true);
    seen = () => line('other');
    expect(await volumes().isInPlace()).toBe(false);
  });

  test.each([
    ['a volume that was removed', () => mountedAs.btrfs('shop-postgres//deleted')],
    ['the former volume below it', () => `${mountedAs.btrfs('x')}\n${mountedAs.btrfs('shop-postgres')}`],
    ['another one over it', () => `${mountedAs.btrfs('shop-postgres')}\n${mountedAs.btrfs('x')}`],
    ['nothing', () => ''],
  ])('is %s: it is started anew with the right one', async (_what, line) => {
    const right = seen;
    seen = line;
    expect(await volumes().isInPlace()).toBe(false);
    let isNew = false;
    daemon.refuses = ({ body }) => {
      isNew ||= (body as { action?: string } | undefined)?.action === 'start';
      if (isNew) seen = right;
      return undefined;
    };
    await volumes().use('shop-postgres', '');
    expect(daemon.changes.map(({ body }) => (body as { action?: string }).action)).toEqual(['stop', 'start']);
    expect(await volumes().isInPlace()).toBe(true);
  });

  test('stays another one, whatever is done: it is told, and nobody goes on', async () => {
    seen = () => '';
    await expect(volumes().use('shop-postgres', '')).rejects.toThrow(
      'the container shop-postgres does not see the volume shop-postgres',
    );
  });

  test('cannot be changed while it runs: it is changed while it does not', async () => {
    let isStopped = false;
    daemon.refuses = ({ path, body }) => {
      isStopped ||= (body as { action?: string } | undefined)?.action === 'stop';
      return isStopped || path.endsWith('/state')
        ? undefined
        : 'Error: Failed to unmount: device or resource busy';
    };
    await volumes().use('shop-postgres.data-2', '2');
    expect(device('data')?.source).toBe('shop-postgres.data-2');
  });
});

describe('where the note of the live volume is lost', () => {
  const inPool = (...names: string[]) =>
    daemon.things.set(custom, names.map((name) => ({ name })) as unknown as Record<string, unknown>);

  test('it is the one that the container has, and noted again', async () => {
    daemon.things.set('instances/shop-postgres', {
      ...{ name: 'shop-postgres', status: 'Running' },
      devices: { data: { ...data, source: 'shop-postgres.data-2' } },
    });
    expect(await volumes().isInPlace()).toBe(true);
    expect(volumes().live()).toBe('shop-postgres.data-2');
    expect(daemon.changes).toEqual([]);
  });

  test('without a container it is the first one, unless there is one that was put in its place', async () => {
    const recall = async () => await recallLive(daemon.client, layoutFor(), file);
    daemon.things.delete('instances/shop-postgres');
    expect(await recall()).toBe('shop-postgres');
    inPool('shop-postgres', 'shop-postgres.data-2', 'shop-postgres-two');
    await expect(recall()).rejects.toThrow('nobody knows any more which volume of the pool holdfast');
    inPool('shop-postgres.backup-1');
    await expect(recall()).rejects.toThrow('nobody knows any more');
    inPool('shop-postgres-two');
    expect(await recall()).toBe('shop-postgres');
  });
});

describe('a copy that is looked into', () => {
  const path = '/var/lib/holdfast-copy';

  test('is there as long as the work goes on, also if that fails', async () => {
    const found = await volumes().withCopyAt(
      'shop-postgres.backup-1',
      path,
      async () => await Promise.resolve(device('holdfast-copy')),
    );
    expect(found).toEqual({ type: 'disk', pool: 'holdfast', source: 'shop-postgres.copy', path });
    await expect(
      volumes().withCopyAt(
        'shop-postgres.backup-1',
        path,
        async () => await Promise.reject(new Error('full')),
      ),
    ).rejects.toThrow('full');
    expect(device('holdfast-copy')).toBeUndefined();
    expect(daemon.things.has(`${custom}/shop-postgres.copy`)).toBe(false);
    expect(device('data')).toEqual(data);
  });

  test('that a kill left there is taken away first', async () => {
    daemon.things.set(`${custom}/shop-postgres.copy`, {
      name: 'shop-postgres.copy',
      config: {},
      description: '',
    });
    daemon.things.set('instances/shop-postgres', {
      ...{ name: 'shop-postgres', status: 'Running' },
      devices: {
        data,
        'holdfast-copy': { type: 'disk', pool: 'holdfast', source: 'shop-postgres.copy', path },
      },
    });
    await volumes().withCopyAt('shop-postgres.backup-1', path, async () => await Promise.resolve());
    expect(daemon.changed.slice(0, 3)).toEqual([
      'PUT instances/shop-postgres',
      `DELETE ${custom}/shop-postgres.copy`,
      `POST ${custom}`,
    ]);
  });
});

test('the note of an appliance of another name is refused: two servers on one volume would ruin it', async () => {
  writeFileSync(file, JSON.stringify({ live: 'shop-postgres.data-1', aside: [] }));
  expect(volumes().live()).toBe('shop-postgres.data-1');
  const refused = await refusalOf(async () => await recallLive(daemon.client, layoutFor({}, 'shop2'), file));
  expect(refused.message).toContain('shop-postgres.data-1, and the appliance is called shop2');
  expect(refused.next).toContain(`rm ${shellWord(file)}`);
});
