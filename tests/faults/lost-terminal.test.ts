import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { waitFor } from '../../orchestrator/lib/wait.ts';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { leftOf, tidyUp, unfinishedRun, untilWaiting } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { needs } from '../support/needs.ts';
import { release } from '../support/releases.ts';
import { differences } from '../support/state.ts';

/* The terminal of a run goes away: hung up, its reader gone. The run goes on, and somebody else may look on. */

let ledger: Ledger;
let installed: string;

beforeAll(async () => {
  ledger = await Ledger.install();
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
});

afterEach(async () => {
  await tidyUp(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
});

const command = (...argv: string[]) => [
  ledger.program.node,
  join(ledger.program.runner, 'main.mjs'),
  ...['--appliance', ledger.directory, '--yes', ...argv],
];
const env = () => ({ ...process.env, HOLDFAST_HOME: ledger.program.home });

test('SIGHUP, and nobody reads what it says any more: it goes on to its end, and takes back what failed', async (context) => {
  await ledger.sandbox.publish(broken.badDataMigration, { onto: installed });
  const was = await ledger.capture();
  const [node = '', ...args] = command('update');
  const child = spawn(node, args, { env: env(), stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const exit = once(child, 'exit') as Promise<[number | null, string | null]>;
  // Both pipes are closed at the first word.
  await once(child.stderr, 'data');
  child.stdout.destroy();
  child.stderr.destroy();
  const began = await waitFor(() => (unfinishedRun(ledger).phase === 'sealed' ? true : undefined), {
    timeoutMs: 60_000,
    everyMs: 5,
  });
  expect(began).toBe(true);
  const { run } = unfinishedRun(ledger);
  child.kill('SIGHUP');

  expect(await exit).toEqual([10, null]);
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await leftOf(ledger, run)).toEqual([]);
  tally(context, 'restored');
});

test('its terminal itself is closed: the same', async (context) => {
  needs(context, 'script');
  await ledger.sandbox.publish(broken.badDataMigration, { onto: installed });
  const was = await ledger.capture();
  // script(1) gives it a terminal of its own; killed, it closes that, and the kernel hangs up.
  const quoted = command('update')
    .map((word) => `'${word}'`)
    .join(' ');
  const terminal = spawn('script', ['--quiet', '--return', '--command', quoted, '/dev/null'], {
    env: env(),
    stdio: ['ignore', 'ignore', 'ignore'],
    detached: true,
  });
  const began = await waitFor(() => (unfinishedRun(ledger).phase === 'window' ? true : undefined), {
    timeoutMs: 60_000,
    everyMs: 5,
  });
  expect(began).toBe(true);
  const { run } = unfinishedRun(ledger);
  terminal.kill('SIGKILL');

  const ended = await waitFor(() => (ledger.open().state.unfinishedRun() === undefined ? true : undefined), {
    timeoutMs: 120_000,
  });
  expect(ended).toBe(true);
  expect(await Cli.run(ledger, 'status')).toMatchObject({
    result: { lastRun: run, lastOutcome: 'restored (data migrations failed)' },
  });
  const left = async () => await leftOf(ledger, run);
  await waitFor(async () => ((await left()).length === 0 ? true : undefined), { timeoutMs: 10_000 });
  expect(await left()).toEqual([]);
  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'restored');
});

test('status --follow attaches, shows the steps, and ends with the run; Ctrl-C in it leaves the run alone', async (context) => {
  await ledger.sandbox.publish(broken.waitsInDataMigration, { onto: installed });
  const was = await ledger.capture();
  const cli = Cli.start(ledger, 'update');
  await untilWaiting(ledger, cli);
  const { run } = unfinishedRun(ledger);
  const follow = () => {
    const [node = '', ...args] = command('status', '--follow');
    return execa(node, args, { env: env(), reject: false, all: true });
  };
  const first = follow();
  await once(first.stdout, 'data');
  first.kill('SIGINT');
  expect((await first).signal).toBe('SIGINT');
  expect(unfinishedRun(ledger).run).toBe(run);

  const second = follow();
  await once(second.stdout, 'data');
  cli.signal('SIGTERM');
  expect(await cli.ended).toMatchObject({ exitCode: 10 });
  const { exitCode, stdout } = await second;
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(
    /data migrations \.\.\.\n[^]*failed: interrupted by SIGTERM\n[^]*restore: compare finished\n/,
  );
  expect(stdout).toMatch(new RegExp(`\\nThe run ${run} ended: restored \\(data migrations failed\\)\\.$`));
  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'restored');
});

test('status --follow of a run that is killed says that it was interrupted, and what to type', async (context) => {
  await ledger.sandbox.publish(broken.good, { onto: installed });
  const was = await ledger.capture();
  const cli = Cli.start(ledger, 'update');
  await cli.reached('preflight', 'prepare', 'started');
  const following = Cli.start(ledger, 'status', '--follow').ended;
  await cli.kill();
  expect(await following).toMatchObject({ exitCode: 0, result: { outcome: 'interrupted' } });
  expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 0, result: { outcome: 'unchanged' } });
  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'unchanged');
});
