import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { at, halfMade, inFull, nameOf, type Instant } from '../support/full-disk.ts';
import { Ledger } from '../support/ledger.ts';
import { leftOf, tidyUp, unfinishedRun } from '../support/left-behind.ts';
import { can, needs } from '../support/needs.ts';
import { release } from '../support/releases.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { differences, type State } from '../support/state.ts';
import { testedDatabase } from '../support/tested-database.ts';
import { oneIn } from '../support/thoroughness.ts';

/*
 * A whole appliance on one small disk, and somebody else's file takes its last block at the instant at which a step
 * begins: before the seal nothing has changed, after it the room that was set aside is enough for the way back. The
 * disk is still full when everything is compared. Every phase of a restore: HOLDFAST_DISK_FULL=all.
 */

let disk: SmallDisk;
let ledger: Ledger;
let installed: string;
let was: State;

beforeAll(async () => {
  if (!can('loop')) return;
  disk = SmallDisk.make(mkdtempSync(join(tmpdir(), 'holdfast-full-')), { megabytes: 800 });
  ledger = await Ledger.install({ parent: disk.mountPoint });
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
  was = await ledger.capture();
});

beforeEach((context) => {
  needs(context, 'loop');
});

afterEach(async () => {
  disk?.makeRoom();
  await tidyUp(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
  SmallDisk.removeAll();
});

/** A command in whose course the disk becomes full at that instant. */
async function filledAt(when: Instant, ...argv: string[]) {
  const fault = at(when, () => disk.fill());
  const end = await ledger.watched(fault.listen, undefined, ...argv);
  expect(fault.came()).toBe(true);
  return { ...end, run: String(end.result?.['run']) };
}

async function expectAsBefore(run: string): Promise<void> {
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await halfMade(ledger)).toEqual([]);
  expect(await leftOf(ledger, run)).toEqual([]);
}

const prepared = [
  { when: { step: 'preflight', half: 'prepare' }, exitCode: 3, outcome: 'refused' },
  { when: { step: 'backup-database', half: 'prepare' }, exitCode: 3, outcome: 'refused' },
  { when: { step: 'pull-code', half: 'prepare' }, exitCode: 1, outcome: 'failed-unchanged' },
] as const;
const window = ['stop-services', 'backup-database', 'backup-files', 'backup-registry'] as const;
const sealed = [
  ...['pull-code', 'install-backend', 'build-backend', 'migrate-schema', 'migrate-data'],
  ...['build-frontend', 'restart-services'],
] as const;
const named = <T extends { when: Instant }>(one: T) => ({ ...one, name: nameOf(one.when) });
const applied = (step: string) =>
  named({ when: { step, half: 'apply' } as Instant, exitCode: 10, outcome: 'restored' });

describe('full from the start of a step on', () => {
  test.for([...prepared.map(named), ...oneIn(8, [...window, ...sealed]).map(applied)])(
    '$name: exit $exitCode, everything as before',
    async ({ when, exitCode, outcome }, context) => {
      await ledger.sandbox.publish(broken.good, { onto: installed });

      const end = await filledAt(when, 'update');

      expect(end).toMatchObject({ exitCode, result: { outcome } });
      await expectAsBefore(end.run);
      tally(context, exitCode === 10 ? 'restored' : 'unchanged');
    },
  );

  test('of a backup: no half snapshot, and the services run again', async (context) => {
    const end = await filledAt({ step: 'backup-database', half: 'apply' }, 'backup', 'create');

    expect(end).toMatchObject({ exitCode: 10, error: expect.stringMatching(/no space left/i) });
    await expectAsBefore(end.run);
    tally(context, 'restored');
  });

  test('of a rollback: back to where it began', async (context) => {
    const end = await filledAt({ step: 'restore-snapshot', half: 'apply' }, 'rollback');

    expect(end).toMatchObject({ exitCode: 10, result: { outcome: 'restored', identical: true } });
    await expectAsBefore(end.run);
    tally(context, 'restored');
  });

  test('after a kill: a new process finds the room that was set aside', async (context) => {
    await ledger.sandbox.publish(broken.waitsInDataMigration, { onto: installed });
    const cli = Cli.start(ledger, 'update');
    await cli.reached('migrate-data', 'apply', 'started');
    await cli.kill();
    const { run } = unfinishedRun(ledger);
    disk.fill();

    expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10, result: { identical: true } });
    await expectAsBefore(run);
    tally(context, 'restored');
  });
});

describe('filled by a stranger while a restore is at work', () => {
  const standing = {
    sealed: /^NOT RESTORED\. The services stay down; the data is safe in the snapshot\./,
    restored: /^RESTORED, BUT NOT STARTED\. Everything is as it was before; the services stay down\./,
  };
  const phases = [
    { restoring: 'stop', phase: 'sealed', quick: false },
    { restoring: 'code', phase: 'sealed', quick: false },
    { restoring: 'products', phase: 'sealed', quick: false },
    { restoring: 'files', phase: 'sealed', quick: true },
    { restoring: 'database', phase: 'sealed', quick: true },
    { restoring: 'registry', phase: 'restored', quick: false },
    { restoring: 'compare', phase: 'restored', quick: true },
  ] as const;
  test.for(phases.filter(({ quick }) => quick || inFull))(
    '$restoring: exit 11 and the truth; with room again, recover finishes',
    async ({ restoring, phase }, context) => {
      await ledger.sandbox.publish(broken.badDataMigration, { onto: installed });

      const end = await filledAt({ restoring }, 'update');

      expect(end).toMatchObject({
        exitCode: 11,
        result: { outcome: 'not-restored', error: expect.stringMatching(/no space left/i) },
      });
      // To compare rows SQLite needs room of its own.
      const came = testedDatabase === 'sqlite' ? 'sealed' : phase;
      expect(end.text).toMatch(standing[came]);
      expect(end.text).toMatch(/Next: .*\.\/run\.sh recover/);
      expect(unfinishedRun(ledger)).toEqual({ run: end.run, phase: came });
      expect(await ledger.pids()).toEqual({ api: 0, web: 0 });

      // As long as there is none, it says so again, and breaks nothing.
      const again = await ledger.run('recover');
      // SQLite's file was copied already, and a rename needs none.
      const ends = testedDatabase === 'sqlite' && again.exitCode === 10 ? [10, 0] : [11, 10];
      disk.makeRoom();

      expect([again.exitCode, (await ledger.run('recover')).exitCode]).toEqual(ends);
      await expectAsBefore(end.run);
      tally(context, 'restored');
    },
  );
});

test('full before the window can be closed again: the truth, which is that no snapshot was needed', async (context) => {
  await ledger.sandbox.publish(broken.good, { onto: installed });
  const first = at({ step: 'backup-files', half: 'apply' }, () => disk.fill());
  // The room that recovery gives back is taken as well.
  let isFailing = false;
  const end = await ledger.watched(
    (event) => {
      first.listen(event);
      if (event.type === 'step' && event.state === 'failed') isFailing = true;
      else if (isFailing && event.type === 'note') disk.fill();
    },
    undefined,
    'update',
  );

  expect(end.exitCode).toBe(11);
  expect(end.text).toMatch(
    /^NOT STARTED AGAIN\. The services stay down; nothing had been changed yet, and the data is where it was\./,
  );
  expect(end.text).not.toContain('snapshot');
  disk.makeRoom();
  expect(await ledger.run('recover')).toMatchObject({ exitCode: 10 });
  await expectAsBefore(String(end.result?.['run']));
  tally(context, 'restored');
});

test('full from the commit on: the update stands, and is open to all', async (context) => {
  const commit = await ledger.sandbox.publish(broken.good, { onto: installed });

  const end = await filledAt({ step: 'commit', half: 'apply' }, 'update');

  expect(end).toMatchObject({ exitCode: 0, result: { outcome: 'updated', warnings: [] } });
  expect(await ledger.answeringCommit()).toBe(commit);
  await ledger.post('into a full house', 1);
  expect(await ledger.notes()).toContain('into a full house');
  expect(await leftOf(ledger, end.run)).toEqual([]);
  expect(await halfMade(ledger)).toEqual([]);
  tally(context, 'completed');
});
