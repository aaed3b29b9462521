import { beforeEach, describe, expect, test } from 'vitest';
import { isUp, readNetwork, whyUnreachable } from '../../../../orchestrator/runtime/lxd/network.ts';
import { prepareContainers, thawed } from '../../../../orchestrator/runtime/lxd/prepare.ts';
import { glanceAtContainers, verifyContainers } from '../../../../orchestrator/runtime/lxd/verify.ts';
import { FakeDaemon, layoutFor, shippedDefinitions } from '../../support/a-daemon.ts';
import { refusalOf } from '../../support/refusal.ts';

/* Containers that are there and are not as they must be: stopped, frozen, on no bridge, full, of another database. */

const layout = layoutFor();
const places = ['postgres', 'backend', 'frontend'] as const;
/** Whatever its card is: somebody may have set it up otherwise. */
const devices = { eth0: { type: 'nic', nictype: 'macvlan' } };
let daemon: FakeDaemon;
let inside: Record<string, string>;

beforeEach(() => {
  daemon = new FakeDaemon();
  inside = {};
  daemon.things.set('', { environment: { server: 'lxd', server_version: '5.0.2' } });
  const config = { 'ipv4.address': '10.83.0.1/24', 'ipv4.nat': 'true' };
  daemon.things.set('networks/hf-shop', { name: 'hf-shop', type: 'bridge', managed: true, config });
  daemon.things.set('networks/hf-shop/state', { bridge: { upper_devices: ['veth10', 'veth11', 'veth12'] } });
  daemon.things.set('storage-pools/holdfast/resources', { space: { total: 10e9, used: 1e9 } });
  places.forEach((place, index) => {
    daemon.things.set(`instances/shop-${place}`, { status: 'Running', config: {}, devices });
    attach(place, 10 + index);
  });
  daemon.prints = ({ args, label }) => {
    if (label?.startsWith('look at') !== true) return '';
    const place = args[args.indexOf('-T') + 1]?.replace('shop-', '') ?? '';
    return inside[place] ?? 'system running\n';
  };
});

function attach(place: string, host: number, veth = `veth${host}`): void {
  const addresses = [{ family: 'inet', address: `10.83.0.${host}` }];
  daemon.things.set(`instances/shop-${place}/state`, { network: { eth0: { host_name: veth, addresses } } });
}

const status = (place: string, now: string) =>
  daemon.things.set(`instances/shop-${place}`, { status: now, config: {}, devices });
const looking = () => ({ client: daemon.client, layout, places, definitions: shippedDefinitions });
const actions = () =>
  daemon.changes.map(({ path, body }) => `${path} ${(body as { action?: string }).action ?? 'is changed'}`);

describe('before an update', () => {
  const refusal = async () => await refusalOf(async () => await verifyContainers(looking()));

  test('all is well: what was found is told, and nothing is changed', async () => {
    inside['postgres'] = 'system running\ncluster 15\nserver 15\nserver 17\n';
    expect(await verifyContainers(looking())).toBe(
      '3 containers running (LXD 5.0.2), 9.0 GB free in the pool holdfast',
    );
    expect(await glanceAtContainers(looking())).toEqual({ ok: true, text: '3 running' });
    expect(daemon.changes).toEqual([]);
  });

  test.each<[string, () => void, string, string]>([
    ['a container is stopped', () => status('frontend', 'Stopped'), 'is stopped', './run.sh start'],
    [
      'the bridge is gone',
      () => daemon.things.delete('networks/hf-shop/state'),
      'bridge hf-shop is gone',
      './run.sh start',
    ],
    [
      'the network is gone',
      () => daemon.things.delete('networks/hf-shop'),
      'hf-shop is not there',
      './run.sh setup',
    ],
    [
      'one hangs on no bridge',
      () => attach('backend', 11, 'veth99'),
      'it hangs on no bridge',
      './run.sh setup',
    ],
    [
      'one has another address',
      () => attach('backend', 77),
      'it has not the address 10.83.0.11',
      './run.sh setup',
    ],
    [
      'systemd stands still',
      () => (inside['backend'] = 'system maintenance\n'),
      'not at work (maintenance)',
      'lxc restart shop-backend',
    ],
    [
      'a disk is full',
      () => (inside['backend'] = 'system running\nfull /var/tmp: head: No space left on device\n'),
      'shop-backend cannot write to /var/tmp',
      'root size',
    ],
    [
      'the image has another PostgreSQL',
      () => (inside['postgres'] = 'system running\ncluster 15\nserver 17\n'),
      'of PostgreSQL 15, and the container shop-postgres has 17',
      'postgresql-15',
    ],
    [
      'the daemon is of another age',
      () => daemon.things.set('', { environment: { server_version: '4.0.9' } }),
      'LXD 4.0.9',
      'use Incus',
    ],
  ])('%s: refused with the way out', async (_what, make, why, next) => {
    make();
    const refused = await refusal();
    expect(refused.message).toContain(why);
    expect(refused.next).toContain(next);
    expect(daemon.changes).toEqual([]);
  });

  test('an Incus of whatever number will do', async () => {
    daemon.things.set('', { environment: { server: 'incus', server_version: '0.6' } });
    expect(await verifyContainers(looking())).toContain('(Incus 0.6)');
  });

  test('at a glance the same is told in a few words, and never thrown', async () => {
    status('backend', 'Frozen');
    expect(await glanceAtContainers(looking())).toEqual({
      ...{ ok: false, text: 'the container shop-backend is frozen' },
      next: './run.sh start thaws it',
    });
  });
});

describe('to start services', () => {
  test('what runs in its network is left alone', async () => {
    await prepareContainers(looking());
    expect(daemon.changes).toEqual([]);
  });

  test('what is stopped is started, what is frozen goes on, what nobody reaches is started anew', async () => {
    status('postgres', 'Stopped');
    status('backend', 'Frozen');
    attach('frontend', 12, 'veth99');
    await prepareContainers(looking());
    expect(actions()).toEqual([
      ...['instances/shop-postgres/state start', 'instances/shop-backend/state unfreeze'],
      ...['instances/shop-frontend/state stop', 'instances/shop-frontend/state start'],
    ]);
  });

  test('what waits for the lost network for ever is ended all the same', async () => {
    attach('backend', 11, 'veth99');
    daemon.refuses = ({ body }) =>
      JSON.stringify(body).includes('"timeout":20') ? 'Error: Failed shutting down instance' : undefined;
    await prepareContainers(looking());
    expect(daemon.changes.map(({ body }) => body)).toEqual([
      { action: 'stop', force: true },
      { action: 'start', timeout: 60 },
    ]);
  });

  test('somebody else is busy with the same container: it is tried again', async () => {
    status('backend', 'Stopped');
    let refusals = 0;
    daemon.refuses = () => {
      refusals += 1;
      if (refusals === 1) return 'Error: Instance is busy running a "stop" operation';
      return refusals === 2 ? 'Error: no such file or directory' : undefined;
    };
    await prepareContainers(looking());
    expect(actions()).toEqual(['instances/shop-backend/state start']);
  });

  test('for the database alone the others are left as they are', async () => {
    status('backend', 'Frozen');
    status('postgres', 'Stopped');
    await prepareContainers({ ...looking(), places: ['postgres'] });
    expect(actions()).toEqual(['instances/shop-postgres/state start']);
  });

  test('a bridge that is gone is made anew, and its network is as it was', async () => {
    const before = daemon.things.get('networks/hf-shop');
    daemon.things.delete('networks/hf-shop/state');
    await prepareContainers(looking());
    expect(daemon.changed).toEqual(['PUT networks/hf-shop', 'PUT networks/hf-shop']);
    expect(daemon.things.get('networks/hf-shop')).toMatchObject(before ?? {});
  });

  test('a network device that somebody took away is put back, before it is started anew', async () => {
    daemon.things.set('instances/shop-backend', {
      status: 'Running',
      config: { a: 'b' },
      devices: { root: {} },
    });
    attach('backend', 99);
    await prepareContainers(looking());
    expect(actions()).toEqual([
      ...['instances/shop-backend is changed', 'instances/shop-backend/state stop'],
      'instances/shop-backend/state start',
    ]);
    const eth0 = { type: 'nic', network: 'hf-shop', name: 'eth0', 'ipv4.address': '10.83.0.11' };
    expect(daemon.changes[0]?.body).toMatchObject({ config: { a: 'b' }, devices: { root: {}, eth0 } });
  });

  test('one that is not there is refused', async () => {
    daemon.things.delete('instances/shop-backend');
    const refused = await refusalOf(async () => await prepareContainers(looking()));
    expect(refused.next).toContain('./run.sh setup');
  });
});

test('a network that LXD does not manage is nothing that we know the state of', async () => {
  daemon.things.set('networks/br0', {
    name: 'br0',
    type: 'bridge',
    managed: false,
    config: { 'ipv4.address': 'x' },
  });
  expect(await isUp(daemon.client, await readNetwork(daemon.client, 'br0'))).toBe(true);
  daemon.things.set('networks/hf-shop/state', { bridge: null });
  const at = { network: 'hf-shop', address: '10.83.0.11' };
  expect(await whyUnreachable(daemon.client, 'shop-backend', at)).toBeUndefined();
});

test.each([
  ['Frozen', ['instances/shop-backend/state unfreeze', 'instances/shop-backend/state freeze']],
  ['Running', []],
])('work in a container that is %s leaves it so, even where it fails', async (now, expected) => {
  status('backend', now);
  await expect(
    thawed(daemon.client, 'shop-backend', async () => await Promise.reject(new Error('no'))),
  ).rejects.toThrow('no');
  expect(actions()).toEqual(expected);
});
