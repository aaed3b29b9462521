import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressOf, chooseSubnet, movesOf } from '../../../../orchestrator/runtime/lxd/layout.ts';
import { layoutFor } from '../../support/a-daemon.ts';

describe('the names of an appliance in LXD', () => {
  test('are its own, with what belongs to it behind', () => {
    expect(layoutFor()).toEqual({
      appliance: 'shop',
      project: 'default',
      pool: 'holdfast',
      poolSize: '20GiB',
      network: 'hf-shop',
      volume: 'shop-postgres',
      image: 'images:debian/12',
      mirror: 'http://deb.debian.org/debian',
      containers: { postgres: 'shop-postgres', backend: 'shop-backend', frontend: 'shop-frontend' },
    });
  });

  test('are what appliance.yaml says where it says any', () => {
    const layout = layoutFor({
      ...{ project: 'prod', pool: 'fast', poolSize: '9GiB', network: 'br9', image: 'local:own' },
      containers: { backend: 'api' },
    });
    expect(layout).toMatchObject({
      ...{ project: 'prod', pool: 'fast', poolSize: '9GiB', network: 'br9', image: 'local:own' },
      containers: { postgres: 'shop-postgres', backend: 'api', frontend: 'shop-frontend' },
    });
  });

  test('tell what a release would lead elsewhere, and not what may change', () => {
    const moved = (lxd: Record<string, unknown>, name?: string) =>
      movesOf(layoutFor(), layoutFor(lxd, name)).filter(([, from, to]) => from !== to);
    expect(moved({ poolSize: '9GiB', image: 'local:own', listen: '127.0.0.1', network: 'hf-shop' })).toEqual(
      [],
    );
    expect(moved({ pool: 'fast', containers: { backend: 'api' } })).toEqual([
      ['lxd.pool', 'holdfast', 'fast'],
      ['lxd.containers.backend', 'shop-backend', 'api'],
    ]);
    expect(moved({ network: 'br9', project: 'prod' }).map(([what]) => what)).toEqual([
      'lxd.project',
      'lxd.network',
    ]);
    expect(moved({}, 'store')[0]).toEqual(['name', 'shop', 'store']);
  });

  test('a bridge has a name that the kernel takes, whatever the appliance is called, and no two have the same', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,39}$/);
    const bridge = (appliance: string) => layoutFor({}, appliance).network;
    fc.assert(fc.property(name, (one) => /^hf-.{1,12}$/.test(bridge(one))));
    fc.assert(fc.property(name, name, (one, other) => one === other || bridge(one) !== bridge(other)));
    // Those that are alike up to where a plain cut would be.
    expect(bridge('inventory-of-berlin')).not.toBe(bridge('inventory-of-bern'));
    expect(bridge('a-dozen-char')).toBe('hf-a-dozen-char');
    expect(bridge('one-too-many-')).toMatch(/^hf-[0-9a-f]{12}$/);
  });
});

describe('the network of an appliance', () => {
  test('each place has an address of its own in it', () => {
    const places = ['postgres', 'backend', 'frontend'] as const;
    expect(places.map((place) => addressOf(place, '10.83.0.1/24'))).toEqual([
      '10.83.0.10',
      '10.83.0.11',
      '10.83.0.12',
    ]);
  });

  test('is the same for the same name, and another for another one', () => {
    const subnet = chooseSubnet('shop', '');
    expect(subnet).toMatch(/^10\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d{1,3}$/);
    expect(chooseSubnet('shop', '')).toBe(subnet);
    expect(chooseSubnet('till', '')).not.toBe(subnet);
  });

  test('is none that is in use', () => {
    const taken: string[] = [];
    for (let round = 0; round < 5; round += 1) {
      const routes = taken.map((one) => `${one}.0/24 dev br${round} proto kernel scope link src ${one}.1\n`);
      const subnet = chooseSubnet('shop', routes.join(''));
      expect(taken).not.toContain(subnet);
      taken.push(subnet);
    }
  });

  test.each([
    [
      'lies in a wider one',
      (subnet: string) => `${subnet.replace(/[.]\d+$/, '')}.0.0/16 via 192.0.2.1 dev eth0`,
    ],
    ['holds a narrower one', (subnet: string) => `${subnet}.64/26 dev docker0`],
    ['holds a host of its own', (subnet: string) => `${subnet}.7 dev tun0`],
    ['is kept from everybody', (subnet: string) => `blackhole ${subnet}.0/24`],
  ])('is none that %s', (_what, route) => {
    const subnet = chooseSubnet('shop', '');
    const other = chooseSubnet('shop', `default via 192.0.2.1 dev eth0\n${route(subnet)}\n`);
    expect(other).not.toBe(subnet);
    expect(other).toMatch(/^10\./);
  });

  test('beside a wider one is outside of the whole of it', () => {
    const wide = chooseSubnet('shop', '').replace(/[.]\d+$/, '');
    expect(chooseSubnet('shop', `${wide}.0.0/16 via 192.0.2.1\n`)).not.toContain(`${wide}.`);
  });

  test('may lie in one that is as wide as all that are to be had: a company routes all of 10', () => {
    expect(chooseSubnet('shop', 'default via 192.0.2.1\n10.0.0.0/8 via 192.0.2.2 dev tun0\n')).toBe(
      chooseSubnet('shop', ''),
    );
  });

  test('one that begins with the same numbers is another one', () => {
    const subnet = chooseSubnet('shop', '');
    expect(chooseSubnet('shop', `1${subnet}.0/24 dev eth0\n`)).toBe(subnet);
  });

  test('where all are in use, that is said', () => {
    const all = Array.from({ length: 64 }, (_, at) => `10.${64 + at}.0.0/16 dev eth${at}\n`).join('');
    expect(() => chooseSubnet('shop', all)).toThrow('every network from 10.64.0.0 to 10.127.255.0 is in use');
  });
});
