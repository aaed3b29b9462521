import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { restorePhases, type RunPhase, type StepName } from '../../orchestrator/pipeline/journal-entries.ts';
import { updateSteps } from '../../orchestrator/pipeline/steps.ts';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { tally, type FaultOutcome } from '../support/fault-tally.ts';
import { killings, type Killing } from '../support/killing.ts';
import { leftOf, tidyUp, unfinishedRun } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { release } from '../support/releases.ts';
import { differences, type State } from '../support/state.ts';
import { inTurn, oneIn } from '../support/thoroughness.ts';

/*
 * SIGKILL at every step of an update and in every phase of its restore; a new process recovers. One installation serves
 * all cases: each leaves it as it found it.
 */

let ledger: Ledger;
let installed: string;
let was: State;

beforeAll(async () => {
  ledger = await Ledger.install();
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
  await ledger.sandbox.publish(broken.good, { tag: 'good', onto: installed });
  await ledger.sandbox.publish(broken.badDataMigration, { tag: 'bad', onto: installed });
  await ledger.run('update', '--to', 'bad');
  was = await ledger.capture();
});

afterEach(async () => {
  await tidyUp(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
});

const halves: [StepName, 'prepare' | 'apply'][] = updateSteps.flatMap((step) => [
  ...(step.prepare ? [[step.name, 'prepare'] as [StepName, 'prepare']] : []),
]);
halves.push(
  ...updateSteps.flatMap((step) => (step.apply ? [[step.name, 'apply'] as [StepName, 'apply']] : [])),
);

describe('killed in an update', () => {
  const ways: readonly { state: 'started' | 'finished'; killing: Killing }[] = [
    { state: 'started', killing: 'orchestrator' },
    { state: 'finished', killing: 'process group' },
  ];
  const moments = inTurn(oneIn(5, halves), ways).map(([[step, half], way]) => ({ step, half, ...way }));

  test.for(moments)('$half of $step $state ($killing)', async ({ step, half, state, killing }, context) => {
    const cli = Cli.start(ledger, 'update', '--to', 'good');
    await cli.reached(step, half, state);
    killings[killing](cli, ledger);
    await cli.ended;
    const killed = unfinishedRun(ledger);

    const recovery = await Cli.run(ledger, 'recover');

    expect(await leftOf(ledger, killed.run)).toEqual([]);
    const { exitCode, outcome, tallied } = expected(killed.phase);
    expect(recovery).toMatchObject({ exitCode, result: { outcome } });
    if (tallied === 'completed') await ledger.succeed('rollback');
    expect(differences(was, await ledger.capture())).toEqual([]);
    tally(context, tallied);
  });
});

/** What a recovery says of a run that came as far as this. */
function expected(phase: RunPhase): { exitCode: number; outcome: string; tallied: FaultOutcome } {
  if (phase === 'prepared') return { exitCode: 0, outcome: 'unchanged', tallied: 'unchanged' };
  if (phase === 'committed') return { exitCode: 0, outcome: 'after', tallied: 'completed' };
  return { exitCode: 10, outcome: 'restored', tallied: 'restored' };
}

describe('killed in a restore', () => {
  test.for(oneIn(4, restorePhases))(
    'in its phase "%s", and in the same of the recovery',
    async (phase, context) => {
      const cli = Cli.start(ledger, 'update', '--to', 'bad');
      await cli.restoring(phase);
      await cli.kill();
      const { run } = unfinishedRun(ledger);
      const second = Cli.start(ledger, 'recover');
      await second.restoring(phase);
      killings['the whole run'](second, ledger);
      await second.ended;

      const recovery = await Cli.run(ledger, 'recover');

      expect(recovery).toMatchObject({ exitCode: 10, result: { outcome: 'restored', identical: true } });
      expect(differences(was, await ledger.capture())).toEqual([]);
      expect(await leftOf(ledger, run)).toEqual([]);
      tally(context, 'restored', 2);
    },
  );
});
