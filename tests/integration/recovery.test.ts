import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { Ledger } from '../support/ledger.ts';
import { leftOf, tidyUp, unfinishedRun, untilWaiting } from '../support/left-behind.ts';
import { release } from '../support/releases.ts';
import { differences } from '../support/state.ts';

/*
 * The real command line is killed, and a new process brings the appliance to one whole version. One installation
 * serves all cases, as each leaves it as it found it; the last one commits.
 */

let ledger: Ledger;
let installed: string;

beforeAll(async () => {
  ledger = await Ledger.install();
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
});

afterEach(async () => {
  await tidyUp(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
});

describe('killed with SIGKILL', () => {
  test.each([
    {
      when: 'before the window',
      reach: async (cli: Cli) => await cli.reached('pull-code', 'prepare', 'started'),
      phase: 'prepared',
      exitCode: 0,
      outcome: 'unchanged',
    },
    {
      when: 'after the services were stopped, before the seal',
      reach: async (cli: Cli) => await cli.reached('backup-files', 'apply', 'started'),
      phase: 'window',
      exitCode: 10,
      outcome: 'restored',
    },
    {
      when: 'after the seal, in the middle of the installation',
      publish: broken.waitsInInstallation,
      reach: async (cli: Cli) => await untilWaiting(ledger, cli),
      phase: 'sealed',
      exitCode: 10,
      outcome: 'restored',
    },
    {
      when: 'in the middle of a data migration',
      publish: broken.waitsInDataMigration,
      reach: async (cli: Cli) => await untilWaiting(ledger, cli),
      phase: 'sealed',
      exitCode: 10,
      outcome: 'restored',
    },
    {
      when: 'while the new version is starting, behind the gate',
      reach: async (cli: Cli) => await cli.reached('restart-services', 'apply', 'finished'),
      phase: 'sealed',
      exitCode: 10,
      outcome: 'restored',
    },
  ])('$when: recover brings back what was', async ({ publish, reach, phase, exitCode, outcome }) => {
    await ledger.sandbox.publish(publish ?? broken.good, { onto: installed });
    const was = await ledger.capture();
    const cli = Cli.start(ledger, 'update');
    await reach(cli);
    await cli.kill();
    const killed = unfinishedRun(ledger);
    expect(killed.phase).toBe(phase);

    const recovery = await Cli.run(ledger, 'recover');

    expect(recovery).toMatchObject({ exitCode, result: { outcome } });
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await ledger.answeringCommit()).toBe(installed);
    expect(await leftOf(ledger, killed.run)).toEqual([]);
  });

  test('and killed again in the restore: recover goes on, and brings back what was', async () => {
    await ledger.sandbox.publish(broken.badDataMigration, { onto: installed });
    const was = await ledger.capture();
    const cli = Cli.start(ledger, 'update');
    await cli.restoring('database');
    await cli.kill();
    const { run } = unfinishedRun(ledger);
    const second = Cli.start(ledger, 'recover');
    await second.restoring('files');
    await second.kill();

    const recovery = await Cli.run(ledger, 'recover');

    expect(recovery).toMatchObject({ exitCode: 10, result: { outcome: 'restored', identical: true } });
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await leftOf(ledger, run)).toEqual([]);
  });

  test('the next update recovers first, says 10, and does not try again', async () => {
    await ledger.sandbox.publish(broken.waitsInDataMigration, { onto: installed });
    const was = await ledger.capture();
    const cli = Cli.start(ledger, 'update');
    await untilWaiting(ledger, cli);
    await cli.kill();
    const { run } = unfinishedRun(ledger);

    const next = await Cli.run(ledger, 'update');

    expect(next).toMatchObject({ exitCode: 10, result: { outcome: 'restored', run } });
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await leftOf(ledger, run)).toEqual([]);
  });

  test('a second recover has nothing to do', async () => {
    const was = await ledger.capture();

    expect(await Cli.run(ledger, 'recover')).toMatchObject({
      exitCode: 0,
      result: { outcome: 'nothing-to-recover' },
    });
    expect(differences(was, await ledger.capture())).toEqual([]);
  });
});

test('killed after the commit: recover completes the new version, exit 0', async () => {
  const commit = await ledger.sandbox.publish(broken.good, { onto: installed });
  const cli = Cli.start(ledger, 'update');
  await cli.reached('commit', 'apply', 'finished');
  await cli.kill();
  const killed = unfinishedRun(ledger);
  expect(killed.phase).toBe('committed');

  const recovery = await Cli.run(ledger, 'recover');

  expect(recovery).toMatchObject({ exitCode: 0, result: { outcome: 'after' } });
  expect(await ledger.answeringCommit()).toBe(commit);
  expect(await ledger.sandbox.installedCommit()).toBe(commit);
  expect(await ledger.notes()).toEqual(['opening', 'coffee', 'rent', 'sale']);
  await ledger.post('after the recovery', 1);
  expect(await leftOf(ledger, killed.run)).toEqual([]);
});
