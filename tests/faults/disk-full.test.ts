import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { at, halfMade, nameOf, type Instant } from '../support/full-disk.ts';
import { Ledger } from '../support/ledger.ts';
import { leftOf, tidyUp, unfinishedRun } from '../support/left-behind.ts';
import { can, needs } from '../support/needs.ts';
import { release } from '../support/releases.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { differences } from '../support/state.ts';

/*
 * A whole appliance on one small disk, and somebody else's file takes its last block at the instant at which a step
 * begins: before the seal nothing has changed, after it the room that was set aside is enough for the way back. The
 * disk is still full when everything is compared.
 */

let disk: SmallDisk;
let ledger: Ledger;
let installed: string;

beforeAll(async () => {
  if (!can('loop')) return;
  disk = SmallDisk.make(mkdtempSync(join(tmpdir(), 'holdfast-full-')), { megabytes: 800 });
  ledger = await Ledger.install({ parent: disk.mountPoint });
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
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

interface Case {
  readonly when: Instant;
  readonly exitCode: number;
  readonly outcome: 'refused' | 'failed-unchanged' | 'restored';
}

const prepare = (step: 'preflight' | 'backup-database' | 'pull-code', exitCode: 1 | 3): Case => ({
  when: { step, half: 'prepare' },
  exitCode,
  outcome: exitCode === 3 ? 'refused' : 'failed-unchanged',
});

const cases: readonly Case[] = [
  prepare('preflight', 3),
  prepare('backup-database', 3),
  prepare('pull-code', 1),
  ...(
    [
      'stop-services',
      'backup-database',
      'backup-files',
      'backup-registry',
      'pull-code',
      'install-backend',
      'build-backend',
      'migrate-schema',
      'migrate-data',
      'build-frontend',
      'restart-services',
    ] as const
  ).map((step) => ({ when: { step, half: 'apply' }, exitCode: 10, outcome: 'restored' }) as const),
];

describe('the disk is full', () => {
  test.each(cases.map((one) => ({ ...one, name: nameOf(one.when) })))(
    'from the start of "$name" on: everything is as before, exit $exitCode',
    async ({ when, exitCode, outcome, ...context }) => {
      await ledger.sandbox.publish(broken.good, { onto: installed });
      await ledger.post(`acknowledged before ${nameOf(when)}`, 1);
      const was = await ledger.capture();
      const fault = at(when, () => disk.fill());

      const end = await ledger.watched(fault.listen, undefined, 'update');

      expect(fault.came()).toBe(true);
      expect(end).toMatchObject({ exitCode, result: { outcome } });
      expect(differences(was, await ledger.capture())).toEqual([]);
      expect(await halfMade(ledger)).toEqual([]);
      expect(await leftOf(ledger, String(end.result?.['run']))).toEqual([]);
      void context;
    },
  );
});
void [Cli, tally, unfinishedRun];
