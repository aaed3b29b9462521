import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { runMark } from '../../orchestrator/appliance/appliance.ts';
import { findByEnvironment } from '../../orchestrator/lib/processes.ts';
import { encodeRecord, readJournal, type JournalRecord } from '../../orchestrator/pipeline/journal.ts';
import { listSnapshots } from '../../orchestrator/snapshot/store.ts';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { clockSetBack } from '../support/faulty-process.ts';
import { leftOf, tidyUp, unfinishedRun } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { release } from '../support/releases.ts';
import { differences, type State } from '../support/state.ts';
import { captureTree } from '../support/tree-state.ts';
import { isThorough } from '../support/thoroughness.ts';

/*
 * What a new process finds of a run that was killed: torn, damaged, contradictory, or written by a clock that is later
 * than now. What cannot be believed is told with exit 11, and nothing is touched.
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

afterEach(async () => {
  await tidyUp(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
});

/** An update that was killed with its services stopped. Returns the id of its run and its journal's path. */
async function killed(): Promise<{ run: string; journal: string }> {
  was = await ledger.capture();
  const cli = Cli.start(ledger, 'update');
  await cli.reached('backup-files', 'apply', 'started');
  await cli.kill();
  const { run, phase } = unfinishedRun(ledger);
  expect(phase).toBe('window');
  return { run, journal: join(ledger.open().state.run(run), 'journal.ndjson') };
}

async function recovered(run: string): Promise<void> {
  expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await leftOf(ledger, run)).toEqual([]);
}

/** The place behind the last record, and what may come there next. */
function tailOf(journal: string): { bytes: Buffer; end: number; next: string } {
  const bytes = readFileSync(journal);
  const record = {
    seq: readJournal(journal).length + 1,
    at: new Date().toISOString(),
    type: 'sealed',
    snapshot: 'no such snapshot',
    manifestSha256: '0'.repeat(64),
  } as JournalRecord;
  return { bytes, end: bytes.lastIndexOf('\n') + 1, next: encodeRecord(record) };
}

describe('the last record is not whole: it does not count, and recovery goes by those before it', () => {
  test.for<[string, (text: string) => string]>([
    ['half of it was written', (text) => text.slice(0, text.length / 2)],
    ['only its second half was written', (text) => text.slice(40).padStart(text.length, '\0')],
  ])('%s', async ([, tear], context) => {
    const { run, journal } = await killed();
    const { bytes, end, next } = tailOf(journal);
    bytes.write(tear(next), end, 'latin1');
    writeFileSync(journal, bytes);

    await recovered(run);
    expect(readJournal(journal).some(({ type }) => type === 'sealed')).toBe(false);
    tally(context, 'restored');
  });
});

test('what cannot be believed: exit 11 and what to do, from every command that would change something', async (context) => {
  const { run, journal } = await killed();
  const { state } = ledger.open();
  const configuration = join(state.run(run), 'configuration.json');
  // What is set aside for a restore is laid out on the disk in the kernel's own time.
  const tree = async () => await captureTree(ledger.directory, ['.holdfast', 'data/.ledger.db.holdfast']);
  // What the killed run left at work (tar, say) still writes for a moment.
  const left = () => findByEnvironment('HOLDFAST_RUN', runMark(ledger.open(), run));
  await vi.waitFor(() => expect(left()).toEqual([]), 20_000);
  const down = await tree();
  const pids = await ledger.pids();
  const older = state.runIds().at(-2) ?? '';
  const damages: [string, RegExp, () => () => void][] = [
    [
      'a bit flipped in the middle',
      /is damaged at record 2: good records follow a bad one/,
      () =>
        replacing(journal, (bytes) => {
          const at = bytes.indexOf('\n') + 5;
          bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
        }),
    ],
    ['an empty journal', /holds no record/, () => replacing(journal, (bytes) => bytes.fill(0))],
    ['no journal', /journal\.ndjson is gone/, () => without(journal)],
    ['no folder', new RegExp(`${run} is gone`), () => without(state.run(run))],
    ['no configuration', /configuration\.json is missing or cannot be read/, () => without(configuration)],
    ['an empty configuration', /configuration\.json is missing or/, () => emptied(configuration)],
    ['a mark that names no run', /unfinished names no run/, () => emptied(state.unfinished)],
    [
      'two unfinished runs',
      new RegExp(`two runs are unfinished: ${older}.* and ${run}`),
      () => reopened(older),
    ],
    [
      'a journal of a later version',
      /is of format 9, and this version reads formats up to 1/,
      () => replacing(journal, (bytes) => firstRecord(bytes, { format: 9 })),
    ],
  ];
  for (const [what, says, damage] of damages) {
    const mend = damage();
    try {
      const commands = what === 'no configuration' ? ['recover', 'update', 'start', 'rollback'] : ['recover'];
      for (const command of commands) {
        const { exitCode, result, stderr } = await Cli.run(ledger, command);
        expect({ what, command, exitCode, stderr }).toEqual({ what, command, exitCode: 11, stderr: '' });
        expect(result?.['error']).toMatch(says);
        expect(result?.['next']).toMatch(/\.\/run\.sh|\/recover recover|RESTORE\.md/);
      }
      const looks = [Cli.run(ledger, 'status'), Cli.run(ledger, 'status', '--history')];
      expect(await Promise.all(looks)).toMatchObject([
        { exitCode: 0, result: { unfinished: { active: false } } },
        { exitCode: 0 },
      ]);
    } finally {
      mend();
    }
    expect(differences(down, await tree())).toEqual([]);
    expect(await ledger.pids()).toEqual(pids);
    tally(context, 'unchanged');
  }
  await recovered(run);
});

test('whatever goes wrong in a recovery is 11, and the next one goes on', async (context) => {
  const { run } = await killed();
  const failed = await ledger.failing({ operation: /^stop api/, when: 'before' }, 'recover');
  expect(failed).toMatchObject({
    exitCode: 11,
    error: expect.stringContaining(`the recovery of run ${run} failed`),
  });
  expect(failed.next).toContain('./run.sh recover');

  await recovered(run);
  tally(context, 'restored');
});

test('the runner that began it is gone: its script says so with 11', async (context) => {
  const { run } = await killed();
  const { state } = ledger.open();
  const script = readFileSync(state.recoverScript, 'utf8');
  writeFileSync(state.recoverScript, script.replaceAll(ledger.program.runner, '/no/such/runner'));
  const gone = await execa(state.recoverScript, ['recover'], { reject: false });
  writeFileSync(state.recoverScript, script);
  expect(gone).toMatchObject({ exitCode: 11, stderr: expect.stringContaining('cannot recover: ') });

  await recovered(run);
  tally(context, 'restored');
});

test.runIf(isThorough)(
  'the clock was set back by a day: recovery, order and what comes next go by the counter',
  async (context) => {
    const { run } = await killed();
    const before = ledger.open().state.runIds();
    const env = clockSetBack(ledger.sandbox.root, 86_400_000);
    const recovery = await Cli.startWith(env, ledger, 'recover').ended;
    expect(recovery).toMatchObject({ exitCode: 10, result: { outcome: 'restored', run } });
    expect(differences(was, await ledger.capture())).toEqual([]);

    expect(await Cli.startWith(env, ledger, 'update').ended).toMatchObject({ exitCode: 0 });
    const { state, backupsDirectory } = ledger.open();
    const newest = state.runIds().at(-1) ?? '';
    expect(newest < run).toBe(true);
    expect(state.runIds()).toEqual([...before, newest]);
    expect((await Cli.run(ledger, 'status')).result).toMatchObject({
      lastRun: newest,
      lastOutcome: 'updated',
    });
    expect(listSnapshots(backupsDirectory)[0]?.id).toBe(newest);

    expect(await Cli.startWith(env, ledger, 'rollback').ended).toMatchObject({
      exitCode: 0,
      result: { snapshot: newest },
    });
    expect(await ledger.answeringCommit()).toBe(installed);
    expect(await ledger.notes()).toEqual(['opening', 'coffee', 'rent', 'sale']);
    tally(context, 'completed');
  },
);

/** Each damages something and returns how to mend it. */
function replacing(path: string, change: (bytes: Buffer) => unknown): () => void {
  const whole = readFileSync(path);
  const changed = Buffer.from(whole);
  change(changed);
  writeFileSync(path, changed);
  return () => writeFileSync(path, whole);
}

function without(path: string): () => void {
  renameSync(path, `${path}.aside`);
  return () => {
    rmSync(path, { recursive: true, force: true });
    renameSync(`${path}.aside`, path);
  };
}

function emptied(path: string): () => void {
  const whole = readFileSync(path);
  writeFileSync(path, '');
  return () => writeFileSync(path, whole);
}

/** The mark names an older run, whose configuration is there. */
function reopened(run: string): () => void {
  const { state } = ledger.open();
  const marked = readFileSync(state.unfinished);
  writeFileSync(state.unfinished, `${run}\n`);
  return () => writeFileSync(state.unfinished, marked);
}

/** Writes the first record anew, with a good checksum; its length must stay. */
function firstRecord(bytes: Buffer, change: object): void {
  const end = bytes.indexOf('\n');
  const { crc: _, ...record } = JSON.parse(bytes.toString('utf8', 0, end)) as JournalRecord & { crc: string };
  expect(bytes.write(encodeRecord({ ...record, ...change }))).toBe(end + 1);
}
