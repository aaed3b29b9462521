import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { updateSteps } from '../../orchestrator/pipeline/steps.ts';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { killClients, livingInside, stopContainers, unitStates } from '../support/inside-containers.ts';
import { leftOf, unfinishedRun } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { lxdEnvironment } from '../support/lxd-host.ts';
import { release } from '../support/releases.ts';
import { differences } from '../support/state.ts';
import { sweepEngines } from '../support/sweep-engines.ts';
import { isThorough } from '../support/thoroughness.ts';
import { Writer } from '../support/writer.ts';

/*
 * Kills at instants that nobody chose, of a run and of what recovers it: HOLDFAST_TEST_KILLS of them. Each instant is told, so
 * that one that fails can be tried again.
 */

const why = inject('whyNoLxd');
const count = Number(process.env['HOLDFAST_TEST_KILLS'] ?? 6);
let ledger: Ledger;
let installed: string;

/** What dies with the run: nothing else, LXD's clients as well, or all containers. */
const deaths = ['the run', 'the run and its clients', 'the run and all containers'] as const;

/** What an update does while the appliance is away, and behind it. */
const steps = updateSteps.flatMap(({ name, apply }) => (apply ? [name] : []));
const failing = steps.indexOf('migrate-data');

const cases = Array.from({ length: count }, (_none, index) => {
  const isGood = index % 2 === 1;
  const at = Math.floor(Math.random() * (isGood ? steps.length : failing + 1));
  return {
    index,
    publish: isGood ? broken.good : broken.badDataMigration,
    what: isGood ? 'a good update' : 'an update that would fail',
    step: steps[at] ?? 'commit',
    /** After that step began: the one that fails goes on with its restore. */
    afterMs: Math.round(Math.random() * (!isGood && at === failing ? 10_000 : 2000)),
    /** Until its recovery is killed: every other one. */
    againMs: index % 4 < 2 ? Math.round(200 + Math.random() * 9000) : undefined,
    dies: deaths[Math.floor(index / 2) % deaths.length] ?? 'the run',
  };
});

describe.skipIf(why !== '' || !isThorough)(`killed at any instant${why === '' ? '' : ` (${why})`}`, () => {
  beforeAll(async () => {
    Object.assign(process.env, lxdEnvironment);
    ledger = await Ledger.install({ lxd: true });
    installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
    await ledger.succeed('update');
  });

  afterAll(async () => {
    await Cli.endAll();
    await ledger?.destroy();
  });

  test.each(cases)(
    '$index: $what, in $step, $dies after $afterMs ms, the recovery after $againMs ms',
    async ({ publish, step, afterMs, againMs, dies, index }) => {
      const next = await ledger.sandbox.publish(publish, { tag: `k${index}`, onto: installed });
      const was = await ledger.capture();
      const writer = Writer.start(ledger);
      const cli = Cli.start(ledger, 'update');
      await cli.reached(step, 'apply', 'started');
      await Promise.race([sleep(afterMs), cli.ended]);
      if (dies === 'the run and its clients') killClients(ledger);
      const first = await cli.kill();
      const isOpen = ledger.open().state.unfinishedRun() !== undefined;
      if (dies === 'the run and all containers' && isOpen) await stopContainers(ledger);
      const { run, phase } = isOpen ? unfinishedRun(ledger) : { run: 'none', phase: 'finished' };
      console.log(`${index}: killed in ${cli.where} (${phase})`);
      if (againMs !== undefined) {
        const recovery = Cli.start(ledger, 'recover');
        await Promise.race([sleep(againMs), recovery.ended]);
        console.log(`${index}: its recovery in ${recovery.where}`);
        await recovery.kill();
      }
      // What was found prepared is dropped and no more: containers that somebody stopped are started by a start.
      expect([0, 10]).toContainEqual((await Cli.run(ledger, 'recover')).exitCode);
      await ledger.succeed('start');
      const lost = await writer.lost();
      await sweepEngines.postgresql.removeWrites(ledger, was);
      const answers = await ledger.answeringCommit();
      const isUpdated = phase === 'committed' || first.exitCode === 0;
      expect({
        answers,
        lost,
        differences: isUpdated ? [] : differences(was, await ledger.capture()),
        left: isOpen ? await leftOf(ledger, run) : [],
        living: await livingInside(ledger),
        units: await unitStates(ledger),
      }).toEqual({
        ...{ answers: isUpdated ? next : installed, lost: [], differences: [], left: [], living: [] },
        units: { api: 'active', web: 'active' },
      });
      if (isUpdated) await ledger.succeed('rollback');
      // What was written before the window is in the snapshot as well.
      await sweepEngines.postgresql.removeWrites(ledger, was);
      expect(await ledger.answeringCommit()).toBe(installed);
    },
  );
});
