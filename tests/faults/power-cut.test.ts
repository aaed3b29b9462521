import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, test, type TestContext } from 'vitest';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { tally, type FaultOutcome } from '../support/fault-tally.ts';
import { Ledger } from '../support/ledger.ts';
import { leftOf, unfinishedRun } from '../support/left-behind.ts';
import { can, needs } from '../support/needs.ts';
import { endProcessesOn, forget, keepImage, loseEverything, PowerCuts } from '../support/power-cut.ts';
import type { Cut, CutOptions } from '../support/power-cut.ts';
import { dataMigration, release, type Edit } from '../support/releases.ts';
import { SmallDisk, type DiskType } from '../support/small-disk.ts';
import { differences, type State } from '../support/state.ts';
import { isThorough } from '../support/thoroughness.ts';

/*
 * The power goes in the middle of an update. A whole appliance, its database and its snapshots lie on a disk of their
 * own, whose image is copied while the run is at work: what was never written out is not in the copy (`commit=300` keeps
 * the kernel from doing it by itself). Each copy takes the disk's place; a new process, on a machine that has just been
 * booted, recovers; and the appliance is whole: all of it before, or all of it after.
 *
 * More of it, and on other file systems:
 *   HOLDFAST_POWER_CUTS=100 HOLDFAST_POWER_CUT_SEED=7 HOLDFAST_POWER_CUT_DISK=xfs ./run.sh test tests/faults/power-cut.test.ts
 */

const random = Number(process.env['HOLDFAST_POWER_CUTS'] ?? (isThorough ? 6 : 2));
const seed = Number(process.env['HOLDFAST_POWER_CUT_SEED'] ?? 1);
const type = (process.env['HOLDFAST_POWER_CUT_DISK'] ?? 'ext4') as DiskType;

let disk: SmallDisk;
let ledger: Ledger;
let installed: string;
let image: string;
let was: State;

beforeAll(async () => {
  if (!can('loop') || !can('mount')) return;
  const mount = type === 'xfs' ? 'nouuid' : 'commit=300';
  disk = SmallDisk.make(mkdtempSync(join(tmpdir(), 'holdfast-cut-')), { type, megabytes: 800, mount });
  ledger = await Ledger.install({ parent: disk.mountPoint });
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
  await ledger.database.checkpoint();
  was = await ledger.capture();
  image = keepImage(disk);
});

beforeEach((context) => {
  needs(context, 'loop', 'mount');
});

afterAll(() => {
  if (disk) endProcessesOn(disk);
  SmallDisk.removeAll();
});

/** An update to a release, beginning with version 2 as it was installed, and what power cuts in it would have left. */
async function cutsIn(edit: Edit, options: CutOptions): Promise<{ cuts: Cut[]; after: State }> {
  loseEverything(disk, image);
  await Cli.run(ledger, 'start');
  await ledger.sandbox.publish(edit, { onto: installed });
  // What a developer pushes is not ours to make durable.
  await execa('sync', ['--file-system', disk.mountPoint]);
  const power = new PowerCuts(disk, options);
  const cuts = await power.during(async () => {
    await ledger.watched(power.listen, power.runtime, 'update');
  });
  return { cuts, after: await ledger.capture() };
}

/** The machine comes up again with what the disk held. What became of the appliance, and each thing that is wrong. */
async function comeBack(cut: Cut, after: State): Promise<{ outcome: FaultOutcome; faults: string[] }> {
  loseEverything(disk, cut.image);
  const { run, phase } = unfinishedRun(ledger);
  const end = await Cli.runAfterReboot(ledger, 'recover');
  const isOpen = run !== 'none' && phase !== 'prepared';
  const isBefore = isOpen ? phase !== 'committed' : (await ledger.sandbox.installedCommit()) === installed;
  const outcome = !isBefore ? 'completed' : isOpen ? 'restored' : 'unchanged';
  if (end.exitCode !== (outcome === 'restored' ? 10 : 0))
    return { outcome, faults: [`from "${phase}": exit ${end.exitCode}, ${String(end.result?.['error'])}`] };
  // Before the window nothing was stopped, so that nothing is started again either: that is for whoever boots.
  const start = isOpen ? undefined : await Cli.runAfterReboot(ledger, 'start');
  if (start && start.exitCode !== 0)
    return { outcome, faults: [`start: exit ${start.exitCode}, ${String(start.result?.['error'])}`] };
  const found = differences(isBefore ? was : after, await ledger.capture())
    // What runs was started under another boot's id, and so it seems from here as if it did not.
    .filter((line) => !/^service \w+: running was/.test(line))
    // See above: the new version's sequences were used since the last checkpoint.
    .filter((line) => isBefore || !line.startsWith('sequence '));
  const left = run === 'none' ? [] : await leftOf(ledger, run);
  return { outcome, faults: [...found, ...(await damagedObjects()), ...left] };
}

async function damagedObjects(): Promise<string[]> {
  const options = { cwd: ledger.directory, reject: false, all: true } as const;
  const { all } = await execa('git', ['fsck', '--full', '--no-dangling'], options);
  return all.split('\n').filter((line) => line !== '');
}

/** Tries every copy. What was wrong after one of them, each as a line. */
async function tryAll(
  { cuts, after }: { cuts: Cut[]; after: State },
  context?: TestContext,
): Promise<string[]> {
  const wrong: string[] = [];
  for (const cut of cuts) {
    try {
      const { outcome, faults } = await comeBack(cut, after);
      if (faults.length > 0) wrong.push(`${cut.when}: ${faults.slice(0, 5).join('; ')}`);
      else if (context) tally(context, outcome);
    } catch (error) {
      wrong.push(`${cut.when}: ${String(error)}`);
    }
  }
  console.log(
    `${cuts.length} power cuts (${type}): ${cuts.length - wrong.length} whole, ${wrong.length} mixed`,
  );
  forget(cuts);
  return wrong;
}

/** A migration that writes over bytes of a file: nothing else of it changes, and its time is not written out. */
const overwrites: Edit = (folder) => {
  release(3)(folder);
  dataMigration(
    folder,
    '004_overwrites',
    `const { closeSync, fdatasyncSync, openSync, writeSync } = await import('node:fs');
const file = openSync(new URL('../../data/key.pem', import.meta.url), 'r+');
writeSync(file, 'SECRET', 0);
fdatasyncSync(file);
closeSync(file);
console.log('overwritten');
await new Promise((resolve) => setTimeout(resolve, 300));
throw new Error('too late');`,
  );
};

const sealed = /^backup-registry, apply finished/;
const moved = /^pull-code, apply finished/;
const committed = /^commit, apply finished/;
/** The first thing that happens after the record that a restore is complete. */
const restored = /^before start web/;

describe('a power cut', () => {
  test('in an update: all before, or all after', async (context) => {
    const always = [/^after git fetch/, sealed, moved, /^install-backend, apply finished/, committed];
    const cuts = await cutsIn(broken.good, { always, random, seed });

    expect(await tryAll(cuts, context)).toEqual([]);
  });

  test('in a restore: all before', async (context) => {
    const always = [/^restore: files finished/, /^restore: database finished/, restored];
    const cuts = await cutsIn(broken.badDataMigration, { always, random: random / 2, seed });

    expect(await tryAll(cuts, context)).toEqual([]);
  });

  test('after bytes were overwritten in place: found, though times and size say that nothing happened', async (context) => {
    const cuts = await cutsIn(overwrites, { always: [/^output: overwritten/] });

    expect(await tryAll(cuts, context)).toEqual([]);
  });

  test('without the barriers: neither the seal holds, nor the commit, nor a restore', async () => {
    const good = await cutsIn(broken.good, { always: [sealed, moved, committed], barriers: false });
    const bad = await cutsIn(broken.badDataMigration, { always: [restored], barriers: false });

    const wrong = [...(await tryAll(good)), ...(await tryAll(bad))];

    const instants = [
      'backup-registry, apply finished',
      'pull-code, apply finished',
      'commit, apply finished',
    ];
    expect(wrong.map((line) => line.split(':')[0])).toEqual([...instants, 'before start web']);
  });
});
