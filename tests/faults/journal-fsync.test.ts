import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { failingFsync } from '../support/faulty-process.ts';
import { leftOf, tidyUp, unfinishedRun } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { release } from '../support/releases.ts';
import { differences, type State } from '../support/state.ts';
import { oneIn } from '../support/thoroughness.ts';

/*
 * The disk does not keep a record of the journal: fsync fails, and nobody can know whether the record is there. From
 * the window on the run stops where it is, with 11, and a new process decides by what the disk has.
 */

let ledger: Ledger;
let installed: string;
let was: State;

beforeAll(async () => {
  ledger = await Ledger.install();
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
  await ledger.sandbox.publish(broken.good, { onto: installed });
});

beforeEach(async () => {
  was = await ledger.capture();
});

afterEach(async () => {
  await tidyUp(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
});

/** An update whose journal fails at the record that holds this text. */
async function failingAt(the: string, is: 'kept' | 'lost') {
  const env = failingFsync(ledger.sandbox.root, { the, is });
  return await Cli.startWith(env, ledger, 'update').ended;
}

test('before the window: nothing was touched, exit 1, and the next command closes the run', async (context) => {
  const pids = await ledger.pids();
  expect(await failingAt('"step":"pull-code","half":"prepare"', 'lost')).toMatchObject({
    exitCode: 1,
    result: { outcome: 'failed-unchanged', error: expect.stringContaining('could not be made durable (EIO') },
  });
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await ledger.pids()).toEqual(pids);
  const { run } = unfinishedRun(ledger);

  expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 0, result: { outcome: 'unchanged' } });
  expect(await leftOf(ledger, run)).toEqual([]);
  tally(context, 'unchanged');
});

const records = [
  { record: '"type":"sealed"', is: 'lost', phase: 'window' },
  { record: '"step":"install-backend"', is: 'kept', phase: 'sealed' },
  { record: '"type":"committed"', is: 'lost', phase: 'sealed' },
] as const;

test.for(oneIn(4, records))(
  '$record $is: it stops with 11, and recover brings back what was',
  async (fault, context) => {
    const stopped = await failingAt(fault.record, fault.is);
    expect(stopped).toMatchObject({
      exitCode: 11,
      result: {
        outcome: 'not-restored',
        error: expect.stringContaining('nothing more was done'),
        next: expect.stringMatching(/run\.sh .*recover$/),
      },
    });
    const { run, phase } = unfinishedRun(ledger);
    expect(phase).toBe(fault.phase);

    expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await leftOf(ledger, run)).toEqual([]);
    tally(context, 'restored');
  },
);

test('the commit kept: it stops with 11, and recover completes the new version', async (context) => {
  expect(await failingAt('"type":"committed"', 'kept')).toMatchObject({ exitCode: 11 });
  const { run, phase } = unfinishedRun(ledger);
  expect(phase).toBe('committed');

  expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 0, result: { outcome: 'after' } });
  expect(await ledger.answeringCommit()).not.toBe(installed);
  expect(await ledger.answeringCommit()).toBe(await ledger.sandbox.installedCommit());
  expect(await ledger.notes()).toEqual(['opening', 'coffee', 'rent', 'sale']);
  expect(await leftOf(ledger, run)).toEqual([]);
  tally(context, 'completed');
});
