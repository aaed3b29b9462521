import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { localRuntime } from '../../orchestrator/runtime/local.ts';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { runInProcess } from '../support/in-process.ts';
import { leftOf, tidyUp, unfinishedRun, untilWaiting } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { holdersOf } from '../support/lock-holders.ts';
import { release } from '../support/releases.ts';
import { differences, type State } from '../support/state.ts';

/* Many commands at once: one runs, the others are told which, at which step, and change nothing. */

let ledger: Ledger;
let installed: string;
let was: State;

beforeAll(async () => {
  ledger = await Ledger.install();
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
  await ledger.sandbox.publish(broken.waitsInDataMigration, { onto: installed });
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

test('20 updates at the same instant: one runs, 19 exit 4 and name it', async (context) => {
  const all = Array.from({ length: 20 }, () => Cli.start(ledger, 'update'));
  const ends = new Map<Cli, number | null>();
  for (const cli of all) void cli.ended.then(({ exitCode }) => ends.set(cli, exitCode));
  await vi.waitFor(() => expect(ends.size).toBe(19), { timeout: 120_000, interval: 20 });
  const [runs, ...more] = all.filter((cli) => !ends.has(cli));
  if (!runs) throw new Error('none runs');
  expect(more).toEqual([]);
  await untilWaiting(ledger, runs);
  const { run } = unfinishedRun(ledger);
  runs.signal('SIGINT');
  expect(await runs.ended).toMatchObject({ exitCode: 10 });

  const told = new RegExp(
    `^cannot update: the update of \\d\\d:\\d\\d \\(pid ${runs.pid}, .*\\) is at( work|.* ".*")\\. Nothing was changed\\.$`,
  );
  for (const cli of all) {
    if (cli === runs) continue;
    const { exitCode, result } = await cli.ended;
    expect(exitCode).toBe(4);
    expect(result).toMatchObject({
      error: expect.stringMatching(told),
      next: expect.stringMatching(/run\.sh .*status --follow$/),
    });
  }
  expect(
    ledger
      .open()
      .state.runIds()
      .filter((id) => id >= run),
  ).toEqual([run]);
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await leftOf(ledger, run)).toEqual([]);
  tally(context, 'restored');
});

const others = {
  'back up': ['backup', 'create'],
  prune: ['backup', 'prune'],
  'roll back': ['rollback'],
  'set up': ['setup'],
  recover: ['recover'],
  start: ['start'],
  stop: ['stop', '--database'],
  restart: ['restart'],
  update: ['update'],
};

test('every command that changes something is refused against it; killed, it frees the lock at once', async (context) => {
  const first = Cli.start(ledger, 'update');
  await untilWaiting(ledger, first);
  const { run } = unfinishedRun(ledger);
  const ends = await Promise.all(Object.values(others).map(async (argv) => await Cli.run(ledger, ...argv)));
  for (const [index, verb] of Object.keys(others).entries()) {
    expect(ends[index]).toMatchObject({ exitCode: 4 });
    expect(ends[index]?.result?.['error']).toMatch(
      new RegExp(`^cannot ${verb}: the update of .* \\(pid ${first.pid}, .*\\) is at "data migrations"`),
    );
  }
  const looks = await Promise.all([
    Cli.run(ledger, 'update', '--dry-run'),
    Cli.run(ledger, 'status'),
    Cli.run(ledger, 'doctor'),
  ]);
  expect(looks[0]).toMatchObject({
    exitCode: 0,
    result: { outcome: 'dry-run', unfinished: run, active: true },
  });
  expect(looks[1]).toMatchObject({ exitCode: 0, result: { unfinished: { run, active: true } } });
  expect(JSON.stringify(looks[2]?.result)).toContain(`(pid ${first.pid}, `);

  await first.kill();
  expect((await Cli.run(ledger, 'update', '--dry-run')).result).toMatchObject({
    unfinished: run,
    active: false,
  });
  expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10 });
  expect(differences(was, await ledger.capture())).toEqual([]);
  // The services that it started run, and hold nothing.
  expect(Object.values(await ledger.pids())).not.toContain(0);
  expect(await leftOf(ledger, run)).toEqual([]);
  tally(context, 'restored');
});

function killHelper(): void {
  for (const pid of holdersOf(ledger.open().state.lock)) process.kill(pid, 'SIGKILL');
}

test("the lock's helper dies: the lock is taken again, and the run fails like a step", async (context) => {
  const cli = Cli.start(ledger, 'update');
  await untilWaiting(ledger, cli);
  const { run } = unfinishedRun(ledger);
  killHelper();
  // While the way back is walked, too, nobody else gets in.
  await cli.restoring('files');
  expect(await Cli.run(ledger, 'recover')).toMatchObject({
    exitCode: 4,
    result: { error: expect.stringMatching(/is at "restore: /) },
  });

  expect(await cli.ended).toMatchObject({
    exitCode: 10,
    result: { outcome: 'restored', error: 'the lock of this run was lost: its helper process died' },
  });
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await leftOf(ledger, run)).toEqual([]);
  tally(context, 'restored');
});

test('and another command is quicker to take it: this one does nothing more, exit 11', async (context) => {
  let taken = 0;
  const runtime: typeof localRuntime = {
    ...localRuntime,
    tryLock: async (path) => {
      if (path === ledger.open().state.lock) taken += 1;
      return taken > 1 ? undefined : await localRuntime.tryLock(path);
    },
  };
  const outcome = await runInProcess(
    ledger.program,
    runtime,
    ['--appliance', ledger.directory, 'update'],
    (event) => {
      if (event.type === 'step' && event.step === 'migrate-data' && event.state === 'started') killHelper();
    },
  );
  expect(outcome).toMatchObject({
    exitCode: 11,
    error: expect.stringContaining('another command has it now'),
  });
  expect(outcome.events.filter(({ type }) => type === 'restore')).toEqual([]);
  const { run, phase } = unfinishedRun(ledger);
  expect(phase).toBe('sealed');

  expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10 });
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await leftOf(ledger, run)).toEqual([]);
  tally(context, 'restored');
});
