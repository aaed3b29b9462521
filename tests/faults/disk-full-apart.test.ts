import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as broken from '../support/broken-releases.ts';
import { tally } from '../support/fault-tally.ts';
import { at, halfMade, inFull, nameOf, type Instant } from '../support/full-disk.ts';
import { Ledger } from '../support/ledger.ts';
import { leftOf, tidyUp } from '../support/left-behind.ts';
import { can, needs } from '../support/needs.ts';
import { dataMigration, release, type Edit } from '../support/releases.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { differences, type State } from '../support/state.ts';
import { oneIn } from '../support/thoroughness.ts';

/*
 * The same with a disk each for snapshots, for the database and for all else: one of them becomes full, of blocks or
 * of inodes. Every disk at every step: HOLDFAST_DISK_FULL=all.
 */

type Name = 'snapshots' | 'database' | 'everything else';
const disks = new Map<Name, SmallDisk>();
let ledger: Ledger;
let installed: string;
let was: State;

beforeAll(async () => {
  if (!can('loop')) return;
  const parent = mkdtempSync(join(tmpdir(), 'holdfast-full-'));
  // So few inodes that they can be used up.
  disks.set('everything else', SmallDisk.make(parent, { megabytes: 600, inodes: 20_000 }));
  ledger = await Ledger.install({
    parent,
    before: ({ directory }) => {
      // Memory for the snapshots: a power cut is not what is tried here, and it is another kind of file system.
      const backups = join(directory, 'backups');
      disks.set('snapshots', SmallDisk.make(backups, { megabytes: 64, type: 'tmpfs', inodes: 400 }));
      const database = join(directory, '.holdfast', 'postgres');
      disks.set('database', SmallDisk.make(database, { megabytes: 350, inodes: 12_000 }));
    },
  });
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
  was = await ledger.capture();
});

beforeEach((context) => {
  needs(context, 'loop');
});

afterEach(async () => {
  for (const disk of disks.values()) disk.makeRoom();
  await tidyUp(ledger);
});

afterAll(async () => {
  if (ledger) await ledger.open().database?.stop();
  SmallDisk.removeAll();
  await ledger?.destroy();
});

interface Case {
  readonly disk: Name;
  readonly of: 'blocks' | 'inodes';
  readonly when: Instant;
  readonly exitCode: number;
}

const apply = (disk: Name, of: Case['of'], step: string, exitCode = 10): Case & { name: string } => {
  const when = { step, half: 'apply' } as Instant;
  return { disk, of, when, exitCode, name: nameOf(when) };
};

const quick = [
  apply('snapshots', 'blocks', 'backup-database'),
  apply('snapshots', 'inodes', 'backup-files'),
  apply('snapshots', 'blocks', 'backup-registry'),
  apply('database', 'blocks', 'stop-services'),
  apply('database', 'blocks', 'migrate-schema'),
  apply('database', 'inodes', 'migrate-schema'),
  apply('everything else', 'inodes', 'stop-services'),
  apply('everything else', 'inodes', 'install-backend'),
  apply('everything else', 'blocks', 'build-frontend'),
];
const steps = ['stop-services', 'backup-database', 'backup-files', 'backup-registry', 'pull-code'].concat(
  ...['install-backend', 'build-backend', 'migrate-schema', 'migrate-data', 'build-frontend'],
  'restart-services',
);
/** What a full disk does not touch comes to its end, and is taken back by hand. */
const cases = inFull
  ? (['snapshots', 'database', 'everything else'] as const).flatMap((disk) =>
      (['blocks', 'inodes'] as const).flatMap((of) => steps.map((step) => apply(disk, of, step))),
    )
  : oneIn(4, quick);

describe('full from the start of a step on', () => {
  test.for(cases)('the disk of $disk, of $of, at "$name"', async ({ disk, of, when, exitCode }, context) => {
    // Where the disk is of no use to the steps that are left, the release fails by itself.
    await ledger.sandbox.publish(inFull ? broken.wrongCommit : broken.good, { onto: installed });
    const small = disks.get(disk);
    const fault = at(when, () => (of === 'blocks' ? small?.fill() : small?.fillInodes()));

    const end = await ledger.watched(fault.listen, undefined, 'update');

    expect(fault.came()).toBe(true);
    expect(end).toMatchObject({ exitCode, result: { outcome: 'restored' } });
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await halfMade(ledger)).toEqual([]);
    expect(await leftOf(ledger, String(end.result?.['run']))).toEqual([]);
    tally(context, 'restored');
  });

  test('by the update itself, until the database server panics over its log', async (context) => {
    const fillsIt: Edit = (folder) => {
      release(3)(folder);
      const log =
        "select pg_logical_emit_message(false, 'fill', repeat('x', 1000000)) from generate_series(1, 500)";
      dataMigration(folder, '004_fills_the_disk', `await client.query("${log}");`);
    };
    await ledger.sandbox.publish(fillsIt, { onto: installed });
    // Less than the log takes before it is cut back.
    const fault = at({ step: 'migrate-data', half: 'apply' }, () => disks.get('database')?.fill(60 << 20));

    const end = await ledger.watched(fault.listen, undefined, 'update');

    expect(end).toMatchObject({ exitCode: 10, error: expect.stringContaining('XLogFileInit') });
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await leftOf(ledger, String(end.result?.['run']))).toEqual([]);
    tally(context, 'restored');
  });

  test.for(['snapshots', 'database', 'everything else'] as const)(
    'before anything was touched, the disk of %s: refused, with what is missing',
    async (disk, context) => {
      await ledger.sandbox.publish(broken.good, { onto: installed });
      const fault = at({ step: 'preflight', half: 'prepare' }, () => disks.get(disk)?.fill());

      const end = await ledger.watched(fault.listen, undefined, 'update');

      expect(end).toMatchObject({ exitCode: 3, result: { outcome: 'refused' } });
      expect(end.error).toMatch(/free at .* needed|No space left/);
      expect(differences(was, await ledger.capture())).toEqual([]);
      tally(context, 'unchanged');
    },
  );
});
