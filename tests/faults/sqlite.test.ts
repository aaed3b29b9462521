import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Event } from '../../orchestrator/pipeline/events.ts';
import { listSnapshots } from '../../orchestrator/snapshot/store.ts';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { at, halfMade } from '../support/full-disk.ts';
import { killings } from '../support/killing.ts';
import { leftOf, tidyUp, unfinishedRun } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { needs } from '../support/needs.ts';
import { SmallDisk } from '../support/small-disk.ts';
import * as broken from '../support/broken-releases.ts';
import { release } from '../support/releases.ts';
import { differences, type State } from '../support/state.ts';

/*
 * What may befall an appliance whose database is a file of SQLite: kills, programs that have the file open, damage, a full
 * disk. One installation serves all cases: each leaves it as it found it.
 */

let ledger: Ledger;
let installed: string;
let was: State;
const strangers = new Set<ChildProcess>();

beforeAll(async () => {
  ledger = await Ledger.install({ sqlite: true });
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
  await ledger.sandbox.publish(broken.good, { tag: 'good', onto: installed });
  await ledger.sandbox.publish(broken.badDataMigration, { tag: 'bad', onto: installed });
  was = await ledger.capture();
});

afterEach(async () => {
  for (const stranger of strangers) stranger.kill('SIGKILL');
  strangers.clear();
  await tidyUp(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
});

/** A program that is none of the appliance's, and has its database open; it says so. */
async function openStranger(): Promise<ChildProcess> {
  const script = `
    const { DatabaseSync } = require('node:sqlite');
    const database = new DatabaseSync(${JSON.stringify(ledger.database.file)});
    database.prepare('select count(*) from sqlite_schema').get();
    console.log('open');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  strangers.add(child);
  await once(child.stdout, 'data');
  return child;
}

describe('killed', () => {
  test.for([
    ['backup-database', 'started', 'orchestrator'],
    ['migrate-schema', 'finished', 'everything'],
    ['commit', 'finished', 'orchestrator'],
  ] as const)('at %s, %s (%s)', async ([step, state, killing], context) => {
    const cli = Cli.start(ledger, 'update', '--to', 'good');
    await cli.reached(step, 'apply', state);
    killings[killing](cli, ledger);
    await cli.ended;
    const { run, phase } = unfinishedRun(ledger);

    const recovery = await Cli.run(ledger, 'recover');

    expect(recovery).toMatchObject({ exitCode: phase === 'committed' ? 0 : 10 });
    expect(await leftOf(ledger, run)).toEqual([]);
    if (phase === 'committed') await ledger.succeed('rollback');
    else await ledger.succeed('start');
    expect(differences(was, await ledger.capture())).toEqual([]);
    tally(context, phase === 'committed' ? 'completed' : 'restored');
  });

  test('in the restore of the database, and again in its recovery', async (context) => {
    const cli = Cli.start(ledger, 'update', '--to', 'bad');
    await cli.restoring('database');
    await cli.kill();
    const { run } = unfinishedRun(ledger);
    const second = Cli.start(ledger, 'recover');
    await second.restoring('registry');
    killings['the whole run'](second, ledger);
    await second.ended;

    const recovery = await Cli.run(ledger, 'recover');

    expect(recovery).toMatchObject({ exitCode: 10, result: { outcome: 'restored', identical: true } });
    expect(await leftOf(ledger, run)).toEqual([]);
    expect(differences(was, await ledger.capture())).toEqual([]);
    tally(context, 'restored', 2);
  });
});

describe('a program of somebody else that has the file open', () => {
  test('is named before anything stops', async (context) => {
    const pids = await ledger.pids();
    const { pid } = await openStranger();

    const outcome = await ledger.run('update', '--to', 'good');

    expect(outcome).toMatchObject({
      exitCode: 3,
      error: expect.stringMatching(new RegExp(`process ${pid} \\(.*--eval`)),
      next: `stop it (kill ${pid}), then try again`,
    });
    expect(await ledger.pids()).toEqual(pids);
    tally(context, 'unchanged');
  });

  test('and came after that look, is named when the window opens: the old version runs again', async (context) => {
    const opened: Promise<ChildProcess>[] = [];
    const listen = (event: Event) => {
      if (event.type === 'step' && event.step === 'stop-services' && event.state === 'started')
        opened.push(openStranger());
    };

    const outcome = await ledger.watched(listen, undefined, 'update', '--to', 'good');

    const [stranger] = await Promise.all(opened);
    expect(outcome).toMatchObject({
      exitCode: 10,
      error: expect.stringContaining(`process ${stranger?.pid} (`),
    });
    stranger?.kill('SIGKILL');
    expect(differences(was, await ledger.capture())).toEqual([]);
    tally(context, 'restored');
  });

  test('during a restore keeps it waiting, and is named; without it the recovery goes on', async (context) => {
    const opened: Promise<ChildProcess>[] = [];
    const listen = (event: Event) => {
      if (event.type === 'step' && event.step === 'migrate-data' && event.state === 'started')
        opened.push(openStranger());
    };

    const outcome = await ledger.watched(listen, undefined, 'update', '--to', 'bad');

    const [stranger] = await Promise.all(opened);
    expect(outcome).toMatchObject({
      exitCode: 11,
      error: expect.stringContaining(`process ${stranger?.pid} (`),
      next: `stop it (kill ${stranger?.pid}), then try again; ./run.sh recover goes on where this stopped, and the data is safe in the snapshot`,
    });
    stranger?.kill('SIGKILL');
    if (stranger) await once(stranger, 'exit').catch(() => undefined);
    expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10, result: { identical: true } });
    expect(differences(was, await ledger.capture())).toEqual([]);
    tally(context, 'restored');
  });
});

test.for([
  ['whose tables cannot be read', 4096],
  ['that is none of SQLite any more', 0],
] as const)(
  'a file %s is found before anything stops; a rollback brings a whole one back',
  async ([, from], context) => {
    const snapshots = listSnapshots(ledger.open().backupsDirectory);
    const snapshot = snapshots.find(({ manifest }) => manifest?.kind === 'update')?.id ?? '';
    await ledger.succeed('stop');
    await ledger.sql('pragma wal_checkpoint(truncate)');
    const descriptor = openSync(ledger.database.file, 'r+');
    writeSync(descriptor, Buffer.alloc(statSync(ledger.database.file).size - from, 0xa5), 0, undefined, from);
    closeSync(descriptor);

    expect(await ledger.run('update', '--to', 'good')).toMatchObject({
      exitCode: 3,
      error: expect.stringMatching(/cannot read the database .*(malformed|not a database)/),
    });
    const back = await Cli.run(ledger, 'rollback', snapshot, '--without-safety');

    expect(back).toMatchObject({ exitCode: 0, result: { ok: true } });
    expect(await ledger.sql('select count(*) as n from entries')).toEqual([{ n: 4 }]);
    tally(context, 'restored');
  },
);

test('a rollback over a file that is gone, whose version does not start: it is gone again, all else as before', async (context) => {
  const snapshots = listSnapshots(ledger.open().backupsDirectory);
  const snapshot = snapshots.find(({ manifest }) => manifest?.kind === 'update')?.id ?? '';
  const aside = `${ledger.database.file}.aside`;
  await ledger.succeed('stop');
  await ledger.sql('pragma wal_checkpoint(truncate)');
  renameSync(ledger.database.file, aside);
  try {
    const outcome = await ledger.failing(
      { step: 'restart-services', operation: /^start api/, when: 'after' },
      ...['rollback', snapshot, '--without-safety'],
    );

    expect(outcome).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
    expect(existsSync(ledger.database.file)).toBe(false);
  } finally {
    if (!existsSync(ledger.database.file)) renameSync(aside, ledger.database.file);
  }
  await ledger.succeed('start');
  tally(context, 'restored');
});

describe('a full disk', () => {
  test('while the database is copied, and while it is migrated: everything as before', async (context) => {
    needs(context, 'loop');
    const disk = SmallDisk.make(mkdtempSync(join(tmpdir(), 'holdfast-full-')), { megabytes: 700 });
    const small = await Ledger.install({ sqlite: true, parent: disk.mountPoint });
    try {
      await small.sandbox.publish(broken.good, { tag: 'good' });
      await small.succeed('backup', 'create');
      const before = await small.capture();
      for (const step of ['backup-database', 'migrate-schema'] as const) {
        const fault = at({ step, half: 'apply' }, () => disk.fill());
        const end = await small.watched(fault.listen, undefined, 'update', '--to', 'good');
        expect(fault.came()).toBe(true);
        expect(end).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
        expect(differences(before, await small.capture())).toEqual([]);
        expect(await halfMade(small)).toEqual([]);
        disk.makeRoom();
      }
    } finally {
      await small.destroy();
      SmallDisk.removeAll();
    }
    tally(context, 'restored', 2);
  });
});
