import { mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { containersOf } from '../../../../orchestrator/commands/find-container.ts';
import { place } from '../../../../orchestrator/config/load.ts';
import { shellWord } from '../../../../orchestrator/lib/shell-word.ts';
import { openLxdRuntime } from '../../../../orchestrator/runtime/lxd/open.ts';
import { ownerKey } from '../../../../orchestrator/runtime/lxd/ownership.ts';
import type { Runtime } from '../../../../orchestrator/runtime/runtime.ts';
import { FakeDaemon, shippedDefinitions } from '../../support/a-daemon.ts';
import { configOf } from '../../support/an-appliance.ts';
import { refusalOf } from '../../support/refusal.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/* Two checkouts of one appliance on one machine, as after `cp -a`: the names of their containers are the same. */

let daemon: FakeDaemon;
let ours: string;
let theirs: string;
let runtime: Runtime;
const appliance = { runtime: 'lxd', database: { embedded: true } };
const config = configOf(appliance);

beforeEach(() => {
  daemon = new FakeDaemon();
  const folder = realpathSync(temporaryFolder());
  [ours, theirs] = [join(folder, 'ours'), join(folder, 'theirs')];
  for (const one of [ours, theirs]) mkdirSync(one);
  runtime = open();
  daemon.things.set('networks/hf-shop', { name: 'hf-shop', config: { 'ipv4.address': '10.83.0.1/24' } });
});

function open(more = config): Runtime {
  const program = { version: 'test', home: ours, runner: shippedDefinitions, node: process.execPath };
  return openLxdRuntime(place(more, join(ours, 'appliance.yaml'), ours), daemon.machine, program);
}

function owned(owner: string): void {
  for (const name of ['postgres', 'backend', 'frontend'])
    daemon.things.set(`instances/shop-${name}`, {
      ...{ status: 'Running', config: { [ownerKey]: owner }, devices: {} },
    });
}

const stop = { signal: 'SIGTERM', timeoutMs: 1000, kill: 'group' } as const;
const service = () => ({ name: 'api', stateFolder: ours, inside: 'backend' }) as const;

const everything: [string, () => Promise<unknown>][] = [
  ['setUp', async () => await runtime.setUp(() => {})],
  ['verify', async () => await runtime.verify()],
  ['prepare', async () => await runtime.prepare()],
  ['run', async () => await runtime.run({ inside: 'backend', file: 'true', args: [] })],
  ['stopService', async () => await runtime.stopService(service(), stop)],
  ['serviceState', async () => await runtime.serviceState(service())],
  ['startedServices', async () => await runtime.startedServices(ours)],
  ['endRun', async () => await runtime.endRun('run')],
  ['expose', async () => await runtime.expose([])],
  ['conceal', async () => await runtime.conceal()],
  ['addressOf', async () => await runtime.addressOf('postgres')],
  ['volumes.list', async () => await runtime.volumes?.list()],
  ['volumes.copy', async () => await runtime.volumes?.copy('shop-postgres', 'backup-1')],
  [
    'exec, shell, redo and destroy',
    async () => await containersOf({ config, runtime }, 'exec').client.read('instances/shop-backend'),
  ],
];

describe.each(everything)('%s', (_name, act) => {
  test("refuses another checkout's containers, and touches nothing of them", async () => {
    owned(theirs);
    const refused = await refusalOf(act);
    expect(refused.message).toBe(
      `cannot go on: the container shop-postgres belongs to the appliance in ${theirs}`,
    );
    expect(refused.next).toContain(`cd ${shellWord(theirs)}`);
    expect([daemon.changes, daemon.commands]).toEqual([[], []]);
  });
});

test('one that cannot be looked at counts as there', async () => {
  const loop = join(ours, 'loop');
  symlinkSync(loop, loop);
  owned(join(loop, 'theirs'));
  expect((await refusalOf(async () => await runtime.verify())).message).toContain(
    'belongs to the appliance in',
  );
});

test('at a glance it is told, and never thrown', async () => {
  owned(theirs);
  expect(await runtime.glance()).toMatchObject({
    ...{ ok: false, text: `the container shop-postgres belongs to the appliance in ${theirs}` },
  });
});

test.each([
  ['this one', () => ours],
  ['one that is gone: it was moved here', () => `${theirs}/gone`],
])('containers of %s are ours', async (_what, owner) => {
  owned(owner());
  await runtime.conceal();
  expect(daemon.changed).toContain('PUT instances/shop-backend');
});

test('a project that is not there is told, before anything in it seems to be missing', async () => {
  owned(ours);
  runtime = open(configOf({ ...appliance, lxd: { project: 'shops' } }));
  const refused = await refusalOf(async () => await runtime.verify());
  expect(refused.message).toBe('cannot go on: there is no project shops in LXD');
  expect(refused.next).toContain('lxc project create shops');
  daemon.things.set('projects/shops', {});
  await runtime.conceal();
  expect(daemon.changed).toContain('PUT instances/shop-backend');
});
