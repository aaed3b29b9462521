import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { isPortTaken } from '../../orchestrator/lib/ports.ts';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import {
  containerConfigurations,
  doorsOf,
  inside,
  killClients,
  livingInside,
  startContainers,
  stopContainers,
  unitStates,
} from '../support/inside-containers.ts';
import type { Outcome } from '../support/in-process.ts';
import { leftOf, tidyUp, unfinishedRun } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { lxdEnvironment, restartLxd } from '../support/lxd-host.ts';
import { release, replaceIn, type Edit } from '../support/releases.ts';
import { differences, type State } from '../support/state.ts';
import { lastOutage, Stopwatch } from '../support/stopwatch.ts';

/*
 * The ledger in three containers of LXD, set up once: each case leaves it as it found it, which is the promise, or all later
 * ones fail as well.
 */

const why = inject('whyNoLxd');
const watch = new Stopwatch();
let ledger: Ledger;
let installed: string;

/** A command of Holdfast's in this process, with how long it took. */
async function run(what: string, ...argv: string[]): Promise<Outcome> {
  return await watch.time(
    what,
    async () => await ledger.run(...argv),
    () => lastOutage(ledger),
  );
}

/** Everything is as it was, the version of before answers, and nothing of a run lives inside. */
async function expectAsBefore(was: State): Promise<void> {
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await ledger.answeringCommit()).toBe(installed);
  expect(await unitStates(ledger)).toEqual({ api: 'active', web: 'active' });
  expect(await livingInside(ledger)).toEqual([]);
}

/** An update to this release, and the appliance as it was before that. */
async function begin(publish: Edit): Promise<{ cli: Cli; was: State; commit: string }> {
  const commit = await ledger.sandbox.publish(publish, { onto: installed });
  const was = await ledger.capture();
  return { was, commit, cli: Cli.start(ledger, 'update') };
}

/** Until a program lives inside that no service is. */
async function untilInside(cli: Cli, program: RegExp): Promise<void> {
  await cli.until(`${program} lives inside`, async () =>
    (await livingInside(ledger)).some((one) => program.test(one)),
  );
}

/** What was killed is recovered, and leaves nothing behind. */
async function recovers(what: string, exitCode = 10): Promise<void> {
  const { run: killed, phase } = unfinishedRun(ledger);
  const end = await watch.time(`recovery: ${what} (${phase})`, async () => await Cli.run(ledger, 'recover'));
  expect(end).toMatchObject({ exitCode });
  expect(await leftOf(ledger, killed)).toEqual([]);
}

describe.skipIf(why !== '')('an appliance in containers', () => {
  beforeAll(async () => {
    Object.assign(process.env, lxdEnvironment);
    ledger = await watch.time('setup', async () => await Ledger.install({ lxd: true }));
    installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
    await ledger.succeed('update');
  });

  afterEach(async () => {
    await tidyUp(ledger);
  });

  afterAll(async () => {
    watch.print();
    await ledger?.destroy();
  });

  test('setup run twice changes nothing and has nothing to say', async () => {
    const was = await containerConfigurations(ledger);
    const pids = await ledger.pids();

    const again = await watch.time('setup again', async () => await ledger.run('setup'));

    expect(again).toMatchObject({ exitCode: 0, error: '' });
    expect(again.events.filter(({ type }) => type === 'say')).toEqual([]);
    expect(await containerConfigurations(ledger)).toEqual(was);
    expect(await ledger.pids()).toEqual(pids);
  });

  test('a good update, and the way back', async () => {
    await ledger.post('written before it', 1);
    const was = await ledger.capture();
    const commit = await ledger.sandbox.publish(broken.good, { tag: 'v3' });

    expect(await run('a good update', 'update')).toMatchObject({ exitCode: 0, error: '' });
    expect(await ledger.answeringCommit()).toBe(commit);
    await ledger.post('written after it', 1);

    expect(await run('rollback', 'rollback')).toMatchObject({ exitCode: 0, error: '' });
    await expectAsBefore(was);
  });

  test.each([
    ['install', broken.badLockfile, /npm ci .* failed/],
    ['build', broken.buildError, /the api does not build/],
    ['schema', broken.badSchemaMigration, /no_such_table/],
    ['data', broken.badDataMigration, /row 3: cannot be migrated/],
    ['health', broken.unhealthy, /500/],
  ])('a release that is broken: %s', async (what, publish, says) => {
    await ledger.sandbox.publish(publish, { onto: installed });
    await ledger.post(`acknowledged before ${what}`, 1);
    const was = await ledger.capture();

    expect(await run(`an update that fails: ${what}`, 'update')).toMatchObject({
      ...{ exitCode: 10, error: expect.stringMatching(says), result: { outcome: 'restored' } },
    });

    await expectAsBefore(was);
  });

  describe('the orchestrator is killed', () => {
    test('while npm installs, with a grandchild of it in a session of its own', async () => {
      const { cli, was } = await begin(broken.waitsInInstallation);
      await untilInside(cli, /sleep 300/);
      expect(await livingInside(ledger)).toContainEqual(expect.stringMatching(/^backend: npm/));
      await cli.kill();

      await recovers('npm');

      await expectAsBefore(was);
    });

    test('while a data migration writes', async () => {
      const { cli, was } = await begin(broken.waitsInDataMigration);
      await untilInside(cli, /sleep 300/);
      expect(await livingInside(ledger)).toContainEqual(expect.stringMatching(/004_waits/));
      await cli.kill();

      await recovers('a migrator');

      await expectAsBefore(was);
    });
  });

  test('the client is killed while npm installs: the run brings everything back by itself', async () => {
    const { cli, was } = await begin(broken.waitsInInstallation);
    await untilInside(cli, /sleep 300/);
    expect(killClients(ledger)).toBe(1);

    expect(await watch.time('a killed client, restored', async () => await cli.ended)).toMatchObject({
      ...{ exitCode: 10, result: { outcome: 'restored', failedStep: 'install-backend' } },
    });

    await expectAsBefore(was);
  });

  test('the daemon is killed while npm installs, and comes again', async () => {
    const { cli, was } = await begin(broken.waitsInInstallation);
    await untilInside(cli, /sleep 300/);
    await restartLxd('SIGKILL');

    expect(await watch.time('a killed daemon, restored', async () => await cli.ended)).toMatchObject({
      ...{ exitCode: 10, result: { outcome: 'restored', failedStep: 'install-backend' } },
    });

    await expectAsBefore(was);
  });

  test('the host goes down in the middle: all containers stop', async () => {
    const { cli, was } = await begin(broken.waitsInDataMigration);
    await untilInside(cli, /sleep 300/);
    cli.signal('SIGKILL');
    await stopContainers(ledger);
    await cli.ended;
    expect(unfinishedRun(ledger).phase).toBe('sealed');

    await recovers('all containers stopped');

    await expectAsBefore(was);
  });

  test('before the commit nobody outside reaches the new version, nor after a reboot', async () => {
    const { cli, was, commit } = await begin((folder) => {
      broken.good(folder);
      replaceIn(folder, 'appliance.yaml', 'timeout: 20s, stableFor: 100ms', 'timeout: 20s, stableFor: 60s');
    });
    const { apiPort } = ledger;
    const ports = Object.values(ledger.open().config.services).map(({ port = 0 }) => port);
    const reachable = async () => await Promise.all(ports.map(async (port) => await isPortTaken(port)));
    expect(await reachable()).toEqual([true, true]);
    await cli.reached('verify', 'apply', 'started');

    const answer = await inside(ledger, 'backend', 'curl', '-s', `http://127.0.0.1:${apiPort}/version`);
    expect(answer).toContain(commit);
    expect(await reachable()).toEqual([false, false]);
    expect(await doorsOf(ledger)).toEqual([]);
    await cli.kill();
    await stopContainers(ledger);
    await startContainers(ledger);
    expect(await unitStates(ledger)).toEqual({ api: 'inactive', web: 'inactive' });
    expect(await reachable()).toEqual([false, false]);
    expect(await doorsOf(ledger)).toEqual([]);

    await recovers('all containers started anew, before the commit');

    await expectAsBefore(was);
    expect(await doorsOf(ledger)).toHaveLength(2);
  });

  test('the orchestrator is killed while pg_dump works, in the window or, on a pool that copies volumes, after the commit', async () => {
    const { cli, was, commit } = await begin(broken.good);
    await cli.reached('stop-services', 'apply', 'started');
    const stopIt = 'until pkill -STOP -x pg_dump; do sleep 0.005; done';
    await inside(ledger, 'postgres', 'timeout', '100', 'sh', '-c', stopIt);
    await cli.kill();
    expect(await livingInside(ledger)).toContainEqual(expect.stringMatching(/^postgres: .*pg_dump/));
    const isCommitted = unfinishedRun(ledger).phase === 'committed';

    await recovers('pg_dump', isCommitted ? 0 : 10);

    if (!isCommitted) await expectAsBefore(was);
    expect(await ledger.answeringCommit()).toBe(isCommitted ? commit : installed);
    expect(await livingInside(ledger)).toEqual([]);
  });
});
