import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { migrateSteps, revertAndStaySteps } from '../../orchestrator/pipeline/steps.ts';
import { Cli } from '../support/cli.ts';
import { tally, type FaultOutcome } from '../support/fault-tally.ts';
import { killings, type Killing } from '../support/killing.ts';
import { leftOf, tidyUp, unfinishedRun } from '../support/left-behind.ts';
import type { Ledger } from '../support/ledger.ts';
import { installPrismaLedger } from '../support/prisma-ledger.ts';
import { schemaMigration } from '../support/releases.ts';
import { differences, type State } from '../support/state.ts';
import { inTurn, oneIn } from '../support/thoroughness.ts';

/*
 * SIGKILL in `migrate deploy` and `migrate down`; a new process recovers. Before the commit all is as it was, schema and
 * record, after it all is migrated. One installation serves all cases, of a release whose newest migration is the one
 * that goes back and forth.
 */

let ledger: Ledger;
const name = '20260301000000_tags';

beforeAll(async () => {
  let installed: string;
  ({ ledger, installed } = await installPrismaLedger());
  await ledger.sandbox.publish(
    (folder) => {
      schemaMigration(folder, name, 'create table tags (i int);');
      writeFileSync(join(folder, 'api/prisma/migrations', name, 'down.sql'), 'drop table tags;');
    },
    { onto: installed, tag: 'v1.2.0' },
  );
  await ledger.succeed('update');
});

afterEach(async () => {
  await tidyUp(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
});

const ways: readonly Killing[] = ['orchestrator', 'the whole run'];
/** What comes before the seal is that of an update, which `kills` has. */
const shared = ['stop-services', 'backup-database', 'backup-files', 'backup-registry'];
const momentsOf = (steps: typeof migrateSteps) =>
  inTurn(
    oneIn(
      2,
      steps.flatMap(({ name: step, apply }) => (apply && !shared.includes(step) ? [step] : [])),
    ),
    ways,
  ).map(([step, killing]) => ({ step, killing }));

async function kill(argv: readonly string[], step: Parameters<Cli['reached']>[0], killing: Killing) {
  const cli = Cli.start(ledger, ...argv);
  await cli.reached(step, 'apply', 'started');
  killings[killing](cli, ledger);
  await cli.ended;
  const { run } = unfinishedRun(ledger);
  const recovery = await Cli.run(ledger, 'recover');
  expect([0, 10]).toContain(recovery.exitCode);
  expect(await leftOf(ledger, run)).toEqual([]);
  return recovery.result?.outcome;
}

const hasTags = async () =>
  await ledger.sql('select * from tags').then(
    () => true,
    () => false,
  );

const outcomeOf = (outcome: unknown): FaultOutcome =>
  outcome === 'restored' ? 'restored' : outcome === 'unchanged' ? 'unchanged' : 'completed';

describe('migrate down', () => {
  let was: State;
  beforeAll(async () => {
    was = await ledger.capture();
  });

  test.for(momentsOf(revertAndStaySteps))(
    'killed ($killing) in $step',
    async ({ step, killing }, context) => {
      const outcome = await kill(['migrate', 'down'], step, killing);
      expect(await hasTags()).toBe(outcome !== 'after');
      if (outcome === 'after') await ledger.succeed('rollback');
      expect(differences(was, await ledger.capture())).toEqual([]);
      tally(context, outcomeOf(outcome));
    },
  );
});

describe('migrate deploy', () => {
  let was: State;
  beforeAll(async () => {
    await ledger.succeed('migrate', 'down');
    was = await ledger.capture();
  });

  test.for(momentsOf(migrateSteps))('killed ($killing) in $step', async ({ step, killing }, context) => {
    const outcome = await kill(['migrate', 'deploy'], step, killing);
    expect(await hasTags()).toBe(outcome === 'after');
    // Down and up again it has another record, and other ids.
    const wrong = outcome === 'after' ? [] : differences(was, await ledger.capture());
    expect(wrong).toEqual([]);
    if (outcome === 'after') await ledger.succeed('migrate', 'down');
    tally(context, outcomeOf(outcome));
  });
});
