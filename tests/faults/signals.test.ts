import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { updateSteps } from '../../orchestrator/pipeline/steps.ts';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { interfering } from '../support/interference.ts';
import { leftOf, tidyUp, unfinishedRun } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { release } from '../support/releases.ts';
import { differences, type State } from '../support/state.ts';
import { inTurn, oneIn } from '../support/thoroughness.ts';

/* SIGINT, SIGTERM and SIGHUP at every step. One installation serves all cases: each leaves it as it found it. */

let ledger: Ledger;
let was: State;

beforeAll(async () => {
  ledger = await Ledger.install();
  const installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
  await ledger.sandbox.publish(broken.good, { tag: 'good', onto: installed });
  await ledger.sandbox.publish(broken.wrongCommit, { tag: 'bad', onto: installed });
  await ledger.run('update', '--to', 'bad');
  await holdable();
  was = await ledger.capture();
});

afterEach(async () => {
  rmSync(hold(), { force: true });
  await tidyUp(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
});

/** While this lies beside the checkout, the new code is not staged to its end. */
const hold = () => join(ledger.sandbox.root, 'hold');

/** Staging takes no time to speak of: a filter of the operator's own, by which git writes one of its files, waits there. */
async function holdable(): Promise<void> {
  const { directory, sandbox } = ledger;
  const smudge = `while [ -e '${hold()}' ]; do sleep 0.02; done; cat`;
  await sandbox.git(directory, 'config', 'filter.hold.smudge', smudge);
  mkdirSync(join(directory, '.git/info'), { recursive: true });
  writeFileSync(join(directory, '.git/info/attributes'), 'web/src/page.js filter=hold\n');
}

const prepared = updateSteps.flatMap(({ name, prepare }) => (prepare ? [name] : []));
const applied = updateSteps.flatMap(({ name, apply }) => (apply ? [name] : []));
const asked = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const;

test.for(inTurn(prepared, asked).map(([step, [signal, exitCode]]) => ({ step, signal, exitCode })))(
  '$signal while $step prepares: nothing has changed, exit $exitCode',
  async ({ step, signal, exitCode }, context) => {
    const pids = await ledger.pids();
    // It is the last of them: a signal that comes late comes there, and not in the window.
    writeFileSync(hold(), '');
    const isLast = step === prepared.at(-1);
    const cli = Cli.start(ledger, 'update', '--to', 'good');
    await cli.reached(step, 'prepare', 'started');
    const { run } = unfinishedRun(ledger);
    cli.signal(signal);

    expect(await cli.ended).toMatchObject({
      exitCode,
      result: { outcome: 'interrupted', ...(isLast && { failedStep: step }) },
    });
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await ledger.pids()).toEqual(pids);
    expect(await leftOf(ledger, run)).toEqual([]);
    tally(context, 'unchanged');
  },
);

test.for(inTurn(oneIn(6, applied), asked).map(([step, [signal]]) => ({ step, signal })))(
  '$signal in $step: all of one version',
  async ({ step, signal }, context) => {
    const cli = Cli.start(ledger, 'update', '--to', 'good');
    await cli.reached(step, 'apply', 'started');
    const { run } = unfinishedRun(ledger);
    cli.signal(signal);
    const end = await cli.ended;

    expect(await leftOf(ledger, run)).toEqual([]);
    // At the commit the signal may come too late. Then the update stands, and says so.
    const isTooLate = step === 'commit' && end.exitCode === 0;
    expect(end).toMatchObject(
      isTooLate
        ? { result: { outcome: 'updated' } }
        : { exitCode: 10, result: { outcome: 'restored', failedStep: step } },
    );
    if (isTooLate) await ledger.succeed('rollback');
    expect(differences(was, await ledger.capture())).toEqual([]);
    tally(context, end.exitCode === 0 ? 'completed' : 'restored');
  },
);

test('SIGTERM in a command whose failure means something of its own: it is told as what it is', async (context) => {
  const pids = await ledger.pids();
  const end = await interfering(
    ledger,
    { at: /^fallocate/, before: () => void process.emit('SIGTERM', 'SIGTERM') },
    ...['update', '--to', 'good'],
  );
  expect(end).toMatchObject({
    exitCode: 143,
    error: 'interrupted by SIGTERM',
    result: { outcome: 'interrupted', failedStep: 'backup-database' },
  });
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await ledger.pids()).toEqual(pids);
  tally(context, 'unchanged');
});

test('further signals in a restore are answered, not obeyed', async (context) => {
  const cli = Cli.start(ledger, 'update', '--to', 'bad');
  for (const phase of ['stop', 'files', 'database', 'compare'] as const) {
    await cli.restoring(phase);
    cli.signal('SIGINT');
    cli.signal('SIGTERM');
  }

  expect(await cli.ended).toMatchObject({
    exitCode: 10,
    result: { outcome: 'restored', failedStep: 'verify' },
  });
  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'restored', 8);
});

test('SIGHUP at every step: the run goes on to its own end', async (context) => {
  const cli = Cli.start(ledger, 'update', '--to', 'bad');
  for (const step of prepared) {
    await cli.reached(step, 'prepare', 'started');
    cli.signal('SIGHUP');
  }
  for (const step of applied.filter((name) => name !== 'commit')) {
    await cli.reached(step, 'apply', 'started');
    cli.signal('SIGHUP');
  }

  expect(await cli.ended).toMatchObject({
    exitCode: 10,
    result: { outcome: 'restored', failedStep: 'verify' },
  });
  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'restored', prepared.length + applied.length - 1);
});
