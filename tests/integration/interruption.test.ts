import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { Ledger } from '../support/ledger.ts';
import { leftOf, tidyUp, unfinishedRun, untilWaiting } from '../support/left-behind.ts';
import { release } from '../support/releases.ts';
import { differences } from '../support/state.ts';

/* Signals that the real command line answers, and others that come while it is at work. */

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

describe('interrupted', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)(
    'by %s in the middle of a step: restored, exit 10',
    async (signal) => {
      await ledger.sandbox.publish(broken.waitsInDataMigration, { onto: installed });
      const was = await ledger.capture();
      const cli = Cli.start(ledger, 'update');
      await untilWaiting(ledger, cli);
      const { run } = unfinishedRun(ledger);
      cli.signal(signal);

      expect(await cli.ended).toMatchObject({
        exitCode: 10,
        result: { outcome: 'restored', failedStep: 'migrate-data' },
      });
      expect(differences(was, await ledger.capture())).toEqual([]);
      expect(await leftOf(ledger, run)).toEqual([]);
    },
  );

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('by %s before the window: nothing changed, exit %i', async (signal, exitCode) => {
    await ledger.sandbox.publish(broken.good, { onto: installed });
    const was = await ledger.capture();
    const pids = await ledger.pids();
    const cli = Cli.start(ledger, 'update');
    await cli.reached('preflight', 'prepare', 'started');
    const { run } = unfinishedRun(ledger);
    cli.signal(signal);

    expect(await cli.ended).toMatchObject({ exitCode, result: { outcome: 'interrupted' } });
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await ledger.pids()).toEqual(pids);
    expect(await leftOf(ledger, run)).toEqual([]);
  });

  test('by SIGHUP: the run goes on, and its lost terminal stops nothing', async () => {
    await ledger.sandbox.publish(broken.badDataMigration, { onto: installed });
    const was = await ledger.capture();
    const cli = Cli.start(ledger, 'update');
    await cli.reached('install-backend', 'apply', 'started');
    cli.signal('SIGHUP');

    expect(await cli.ended).toMatchObject({ exitCode: 10, result: { failedStep: 'migrate-data' } });
    expect(differences(was, await ledger.capture())).toEqual([]);
  });
});

test('of two updates at once one runs, the other says exit 4 and names the first and its step', async () => {
  await ledger.sandbox.publish(broken.waitsInDataMigration, { onto: installed });
  const was = await ledger.capture();
  const first = Cli.start(ledger, 'update');
  await untilWaiting(ledger, first);

  const refusals = { update: 'update', rollback: 'roll back', recover: 'recover', setup: 'set up' };
  for (const [command, verb] of Object.entries(refusals)) {
    const second = await Cli.run(ledger, command);
    expect(second).toMatchObject({ exitCode: 4 });
    expect(second.result?.['error']).toMatch(
      new RegExp(
        `^cannot ${verb}: the update of \\d\\d:\\d\\d \\(pid ${first.pid}, .*\\) is at "data migrations"`,
      ),
    );
  }

  first.signal('SIGINT');
  expect(await first.ended).toMatchObject({ exitCode: 10 });
  expect(differences(was, await ledger.capture())).toEqual([]);
});
