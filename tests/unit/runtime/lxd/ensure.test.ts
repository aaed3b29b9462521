import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { ensureNetwork, ensurePool, ensureVolume } from '../../../../orchestrator/runtime/lxd/ensure.ts';
import type { Thing } from '../../support/a-daemon.ts';
import { Ensured } from '../../support/ensured.ts';
import { refusalOf } from '../../support/refusal.ts';

let ensured: Ensured;
beforeEach(() => {
  ensured = new Ensured();
});

describe('the storage pool', () => {
  const btrfs = readFileSync('/proc/filesystems', 'utf8').includes('btrfs');

  test('is made where there is none, of what this machine can do best', async () => {
    await ensurePool(ensured.with({ poolSize: '9GiB' }));
    expect(ensured.daemon.changes).toEqual([
      {
        ...{ method: 'POST', path: 'storage-pools' },
        body: {
          ...{ name: 'holdfast', description: 'Holdfast', driver: btrfs ? 'btrfs' : 'dir' },
          config: btrfs ? { size: '9GiB' } : {},
        },
      },
    ]);
    expect(ensured.said).toHaveLength(1);
  });

  test('is one of plain folders where the daemon knows nothing better; such a one has no size', async () => {
    ensured.daemon.things.set('', {
      environment: { storage_supported_drivers: [{ Name: 'dir' }, { Name: 'lvm' }] },
    });
    await ensurePool(ensured.with());
    expect(ensured.daemon.changes[0]?.body).toEqual({
      ...{ name: 'holdfast', description: 'Holdfast', driver: 'dir', config: {} },
    });
    expect(ensured.said[0]).toContain('copies of the database take their time');
  });

  test("somebody else's is taken as it is", async () => {
    ensured.daemon.things.set('storage-pools/fast', { driver: 'zfs', config: { size: '1GiB' } });
    await ensurePool(ensured.with({ pool: 'fast' }));
    expect([ensured.daemon.changes, ensured.said]).toEqual([[], []]);
  });
});

describe('the network', () => {
  test('is made where there is none, beside those that this machine has', async () => {
    const gateway = await ensureNetwork(ensured.with());
    const taken = gateway.replace('.1/24', '.0/24');
    expect(ensured.daemon.changed).toEqual(['POST networks']);
    expect(ensured.daemon.changes[0]?.body).toMatchObject({
      name: 'hf-shop',
      config: { 'ipv4.address': gateway, 'ipv4.nat': 'true' },
    });
    expect(ensured.daemon.commands).toMatchObject([{ file: 'ip', args: ['-4', 'route'] }]);

    ensured = new Ensured();
    ensured.daemon.prints = () => `${taken} dev eth0 scope link\n`;
    expect(await ensureNetwork(ensured.with())).not.toBe(gateway);
  });

  test('that is there stays as it is, whatever its address', async () => {
    ensured.daemon.things.set('networks/hf-shop', {
      config: { 'ipv4.address': '192.168.7.1/24', 'ipv4.nat': 'false' },
    });
    expect(await ensureNetwork(ensured.with())).toBe('192.168.7.1/24');
    expect([ensured.daemon.changes, ensured.daemon.commands, ensured.said]).toEqual([[], [], []]);
  });

  test.each([['none'], ['10.83.0.1/16'], [undefined]])(
    'whose address is %s is refused with what to type',
    async (address) => {
      ensured.daemon.things.set('networks/br9', { config: { 'ipv4.address': address } });
      const refusal = await refusalOf(async () => await ensureNetwork(ensured.with({ network: 'br9' })));
      expect(refusal.message).toContain(
        `cannot use the network br9: its address is ${address ?? 'not known'}`,
      );
      expect(refusal.next).toContain('lxc network set br9 ipv4.address 10.83.0.1/24');
      expect(ensured.daemon.changes).toEqual([]);
    },
  );
});

describe('the volume of the database', () => {
  const path = 'storage-pools/holdfast/volumes/custom/shop-postgres';

  test('is made once, and never again: it holds the rows', async () => {
    await ensureVolume(ensured.with());
    expect(ensured.daemon.changed).toEqual(['POST storage-pools/holdfast/volumes/custom']);
    expect(ensured.daemon.things.get(path)).toMatchObject({ content_type: 'filesystem' });
    await ensureVolume(ensured.with());
    expect(ensured.daemon.changes).toHaveLength(1);
    expect(ensured.said).toHaveLength(1);
  });
});

describe('a container', () => {
  test('is made from its image by its definition alone, with its folders, and started', async () => {
    await ensured.container('postgres');
    expect(ensured.daemon.changed).toEqual(['POST instances', 'PUT instances/shop-postgres/state']);
    expect(ensured.daemon.changes[0]?.body).toMatchObject({
      ...{ name: 'shop-postgres', source: { type: 'image', fingerprint: 'f00' } },
      // The operator's own default profile would bring a second network, or a disk that is none of ours.
      profiles: [],
      devices: {
        root: { type: 'disk', path: '/', pool: 'holdfast' },
        eth0: { network: 'hf-shop', 'ipv4.address': '10.83.0.10' },
        data: { source: 'shop-postgres', path: '/var/lib/postgresql' },
        'holdfast-mount-0': {
          ...{ type: 'disk', source: ensured.box, path: ensured.box, shift: 'true' },
          // A disk that is mounted in it is a part of it.
          recursive: 'true',
        },
        'holdfast-mount-1': {
          type: 'disk',
          source: join(ensured.box, 'socket'),
          path: '/var/tmp/holdfast-1',
        },
      },
    });
    // Open to everybody: there are no owners to shift.
    expect(ensured.there('postgres').devices['holdfast-mount-1']).not.toHaveProperty('shift');
    expect(ensured.there('postgres').status).toBe('Running');
    expect(ensured.said).toEqual([
      'making the container shop-postgres',
      'starting the container shop-postgres',
    ]);
  });

  test('that is right is not touched', async () => {
    const was = await ensured.made();
    await ensured.container();
    expect([ensured.daemon.changes, ensured.said]).toEqual([[], []]);
    expect(ensured.there()).toEqual(was);
  });

  test('that is right and stopped is started, and nothing else', async () => {
    await ensured.made();
    ensured.alter(() => ({ status: 'Stopped' }));
    await ensured.container();
    expect(ensured.daemon.changed).toEqual(['PUT instances/shop-backend/state']);
    expect(ensured.said).toEqual(['starting the container shop-backend']);
  });

  test('what is another than its definition says is named, and put right while it is stopped', async () => {
    const was = await ensured.made();
    ensured.alter(({ config, devices }) => ({
      config: { ...config, 'boot.autostart.priority': '1' },
      devices: { ...devices, eth0: { ...devices['eth0'], 'ipv4.address': '10.83.0.99' } },
    }));
    await ensured.container();
    expect(ensured.said).toEqual([
      'changing the container shop-backend: boot.autostart.priority, eth0',
      'starting the container shop-backend',
    ]);
    expect(
      ensured.daemon.changes.map(({ method, path, body }) => [method, path, (body as Thing)['action']]),
    ).toEqual([
      ['PUT', 'instances/shop-backend/state', 'stop'],
      ['PUT', 'instances/shop-backend', undefined],
      ['PUT', 'instances/shop-backend/state', 'start'],
    ]);
    expect(ensured.there()).toEqual(was);
  });

  test('that lost a device gets it back', async () => {
    const was = await ensured.made();
    ensured.alter(({ devices }) => ({
      devices: Object.fromEntries(Object.entries(devices).filter(([name]) => name !== 'eth0')),
    }));
    await ensured.container();
    expect(ensured.said[0]).toBe('changing the container shop-backend: eth0');
    expect(ensured.there().devices).toEqual(was.devices);
  });

  test("an operator's own devices and settings stay, and are no reason to change anything", async () => {
    await ensured.made();
    const own = {
      config: { 'limits.memory': '2GiB', 'boot.autostart': 'true', 'volatile.uuid': '1' },
      devices: {
        gpu: { type: 'gpu' },
        'holdfast-door-api': { type: 'proxy', listen: 'tcp:0.0.0.0:4000', connect: 'tcp:127.0.0.1:4000' },
      },
    };
    ensured.alter(({ config, devices }) => ({
      config: { ...config, ...own.config },
      devices: { ...devices, ...own.devices },
    }));
    await ensured.container();
    expect([ensured.daemon.changes, ensured.said]).toEqual([[], []]);
    // Not even where something else is put right.
    ensured.alter(({ devices }) => ({ devices: { ...devices, root: { ...devices['root'], pool: 'slow' } } }));
    await ensured.container();
    expect(ensured.said[0]).toBe('changing the container shop-backend: root');
    expect(ensured.there()).toMatchObject(own);
  });

  test('a folder that is not wanted any more goes, and its number may be that of another', async () => {
    const other = join(ensured.box, '..', 'data');
    mkdirSync(other);
    await ensured.made([{ source: other }, ...ensured.mounts]);
    await ensured.container();
    expect(ensured.said[0]).toBe(
      'changing the container shop-backend: holdfast-mount-0, holdfast-mount-1, holdfast-mount-2',
    );
    const folders = Object.entries(ensured.there().devices).filter(([name]) =>
      name.startsWith('holdfast-mount-'),
    );
    expect(folders.map(([, { path }]) => path)).toEqual([ensured.box, '/var/tmp/holdfast-1']);
    ensured.forget();
    await ensured.container();
    expect(ensured.daemon.changes).toEqual([]);
  });
});
