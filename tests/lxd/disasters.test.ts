import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { containersOf, inside, livingInside } from '../support/inside-containers.ts';
import { tidyUp } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { lxc, lxdEnvironment, restartLxd } from '../support/lxd-host.ts';
import { release, type Edit } from '../support/releases.ts';
import { differences, type State } from '../support/state.ts';
import { isThorough } from '../support/thoroughness.ts';

/* What happens to containers and their storage in the middle of an update, and storage that is not the usual one. */

const why = inject('whyNoLxd');
let ledger: Ledger;
let installed: string;
let acknowledged = 0;

/** A ledger of version 2 in a pool of its own. */
async function install(pool: string, ...made: string[]): Promise<void> {
  Object.assign(process.env, lxdEnvironment);
  await lxc('storage', 'create', pool, ...made);
  ledger = await Ledger.install({ lxd: pool });
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
}

async function remove(pool: string): Promise<void> {
  await ledger?.destroy();
  await lxc('storage', 'delete', pool);
}

/** An update that waits in the middle, inside. */
async function waiting(publish: Edit): Promise<{ cli: Cli; was: State }> {
  await ledger.sandbox.publish(publish, { onto: installed });
  acknowledged += 1;
  await ledger.post(`acknowledged before it: ${acknowledged}`, 1);
  const was = await ledger.capture();
  const cli = Cli.start(ledger, 'update');
  await cli.until('it waits inside', async () =>
    (await livingInside(ledger)).some((one) => one.includes('sleep 300')),
  );
  return { cli, was };
}

/** What the update came to, and what is other than it was. */
async function endOf(cli: Cli, was: State) {
  const { exitCode, result } = await cli.ended;
  return {
    ...{ exitCode, outcome: result?.['outcome'] },
    differences: differences(was, await ledger.capture()),
    answers: await ledger.answeringCommit(),
    living: await livingInside(ledger),
  };
}
const restored = () => ({
  ...{ exitCode: 10, outcome: 'restored', differences: [], answers: installed, living: [] },
});

/** Until the file system of a container has no room for another byte. */
const fill = `free=$(df --output=avail -B1 /var/tmp | tail -n 1)
fallocate -l $((free > 67108864 ? free - 67108864 : 1)) /var/tmp/filler
cat /dev/zero >/var/tmp/filler-2
sync
i=0; while [ $i -lt 200 ] && echo x >/var/tmp/filler-3-$i; do i=$((i + 1)); done`;

const empty = ['sh', '-c', 'rm -f /var/tmp/filler*; sync'];

const isLeftOut = why !== '' || !isThorough;

describe.skipIf(isLeftOut)(`in the middle of an update${why === '' ? '' : ` (${why})`}`, () => {
  beforeAll(async () => await install('hf-small', 'btrfs', 'size=4GiB'));
  afterEach(async () => {
    for (const place of ['backend', 'frontend'] as const) await inside(ledger, place, ...empty);
    await tidyUp(ledger);
  });
  afterAll(async () => await remove('hf-small'));

  test('the disk of the backend’s container fills up by what a release builds', async () => {
    const { backend } = containersOf(ledger);
    await lxc('config', 'device', 'set', backend, 'root', 'size', '2GiB');
    await ledger.sandbox.publish(broken.fillsItsContainer, { onto: installed });
    const was = await ledger.capture();
    expect(await endOf(Cli.start(ledger, 'update'), was)).toMatchObject(restored());
    await inside(ledger, 'backend', ...empty);
    await lxc('config', 'device', 'unset', backend, 'root', 'size');
  });

  test.each(['backend', 'postgres'] as const)('the container of %s is started anew', async (place) => {
    const { cli, was } = await waiting(broken.waitsInDataMigration);
    // The run may be quicker in starting it.
    await lxc('restart', '--force', containersOf(ledger)[place]).catch(() => {});
    expect(await endOf(cli, was)).toMatchObject(restored());
  });

  test('the daemon is away for 20 seconds', async () => {
    const { cli, was } = await waiting(broken.waitsInInstallation);
    await restartLxd('SIGKILL', 20_000);
    expect(await endOf(cli, was)).toMatchObject(restored());
  });

  test('a container loses its network', async () => {
    const { cli, was } = await waiting(broken.waitsInDataMigration);
    await lxc('config', 'device', 'remove', containersOf(ledger).backend, 'eth0');
    cli.signal('SIGINT');
    expect(await endOf(cli, was)).toMatchObject(restored());
  });

  test('the storage pool fills up: there is room for the way back all the same', async () => {
    const { cli, was } = await waiting(broken.waitsInDataMigration);
    await inside(ledger, 'frontend', 'sh', '-c', fill);
    const another = '{ cat /dev/zero >/var/tmp/filler-4; } 2>&1; true';
    expect(await inside(ledger, 'frontend', 'sh', '-c', another)).toContain('No space left');
    cli.signal('SIGINT');
    expect(await endOf(cli, was)).toMatchObject(restored());
    expect(await ledger.run('update')).toMatchObject({
      exitCode: 3,
      error: expect.stringMatching(/room|full|left/) as string,
    });
  });
});

describe.skipIf(isLeftOut)(`a storage pool of plain folders${why === '' ? '' : ` (${why})`}`, () => {
  beforeAll(async () => await install('hf-plain', 'dir'));
  afterEach(async () => await tidyUp(ledger));
  afterAll(async () => await remove('hf-plain'));

  test('a good update, and the way back', async () => {
    const was = await ledger.capture();
    await ledger.sandbox.publish(broken.good, { tag: 'v3' });
    await ledger.succeed('update');
    await ledger.succeed('rollback');
    expect(differences(was, await ledger.capture())).toEqual([]);
  });

  test('an update that fails, and one that is killed', async () => {
    await ledger.sandbox.publish(broken.badDataMigration, { onto: installed });
    const was = await ledger.capture();
    expect(await endOf(Cli.start(ledger, 'update'), was)).toMatchObject(restored());
    const killed = await waiting(broken.waitsInDataMigration);
    await killed.cli.kill();
    expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10 });
    expect(differences(killed.was, await ledger.capture())).toEqual([]);
  });
});
