import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { serviceHandle } from '../../orchestrator/appliance/services.ts';
import { serverUser } from '../../orchestrator/database/binaries.ts';
import { endProcesses } from '../../orchestrator/lib/end-processes.ts';
import { findByPlace, identify } from '../../orchestrator/lib/processes.ts';
import { waitFor } from '../../orchestrator/lib/wait.ts';
import { asUser } from '../../orchestrator/runtime/local-user.ts';
import { bootUnitText } from '../../orchestrator/tools/systemd.ts';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { leftOf, tidyUp, unfinishedRun, untilWaiting } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { can, needs } from '../support/needs.ts';
import { release } from '../support/releases.ts';
import { findProcessesOf } from '../support/sandbox.ts';
import { differences } from '../support/state.ts';

/* Every process is gone at once, as after a power cut; and what a boot does then. */

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

const clusterData = () => realpathSync(join(ledger.open().state.postgres, 'cluster/data'));
const servers = () => findByPlace({ program: 'postgres', folder: clusterData() });

/** Kills everything of the sandbox, the database server and its children included, and waits until all are gone. */
async function powerCut(): Promise<void> {
  await ledger.database.checkpoint().catch(() => 'fenced');
  const { left } = await endProcesses(
    () => [...findProcessesOf(ledger.sandbox.root), ...(can('postgresql') ? servers() : [])],
    {
      signal: 'SIGKILL',
      graceMs: 10_000,
    },
  );
  expect(left).toEqual([]);
}

/** What the boot unit does, in its order. */
async function boot(): Promise<{ recover: number | null; start: number | null }> {
  const recover = await Cli.run(ledger, 'recover');
  const start = await Cli.run(ledger, 'start', '--as-before');
  return { recover: recover.exitCode, start: start.exitCode };
}

describe('a power cut', () => {
  test('in the middle of an update: recovered, and the services are back by themselves', async (context) => {
    await ledger.sandbox.publish(broken.waitsInDataMigration, { onto: installed });
    const was = await ledger.capture();
    const cli = Cli.start(ledger, 'update');
    await untilWaiting(ledger, cli);
    const { run } = unfinishedRun(ledger);
    await powerCut();

    expect(await boot()).toEqual({ recover: 10, start: 0 });
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await leftOf(ledger, run)).toEqual([]);
    tally(context, 'restored');
  });

  test('between two updates: what ran runs again, what was stopped stays stopped', async (context) => {
    const was = await ledger.capture();
    await powerCut();
    expect(await boot()).toEqual({ recover: 0, start: 0 });
    expect(differences(was, await ledger.capture())).toEqual([]);

    const { runtime, ...appliance } = ledger.open();
    const policy = { signal: 'SIGTERM', timeoutMs: 5000, kill: 'group' } as const;
    await runtime.stopService(serviceHandle({ runtime, ...appliance }, 'web'), policy);
    await powerCut();
    expect(await boot()).toEqual({ recover: 0, start: 0 });
    expect(await ledger.pids()).toMatchObject({ api: expect.toSatisfy((pid) => pid !== 0), web: 0 });

    expect(await Cli.run(ledger, 'start')).toMatchObject({ exitCode: 0 });
    tally(context, 'completed');
  });
});

describe('the embedded server', () => {
  beforeEach((context) => needs(context, 'postgresql'));

  test('was killed, and a child of it is busy: the first start ends it and comes up', async (context) => {
    const was = await ledger.capture();
    await ledger.database.checkpoint();
    const busy = ledger.sql('select count(*) from generate_series(1, 100000000000)').catch(() => 'ended');
    const pid = Number(readFileSync(join(clusterData(), 'postmaster.pid'), 'utf8').split('\n')[0]);
    const child = await waitFor(
      async () =>
        (
          await ledger.sql(
            "select pid from pg_stat_activity where query like 'select count%' and state = 'active'",
          )
        )[0],
      { timeoutMs: 10_000 },
    );
    process.kill(pid, 'SIGKILL');
    await waitFor(() => (identify(pid) ? undefined : true), { timeoutMs: 5000, everyMs: 5 });
    expect(servers()).toContain(child?.['pid']);

    expect(await Cli.run(ledger, 'start')).toMatchObject({ exitCode: 0 });
    expect(await busy).toBe('ended');
    expect(servers()).not.toContain(child?.['pid']);
    expect(differences(was, await ledger.capture())).toEqual([]);
    tally(context, 'completed');
  });

  test.for([
    [
      'names a process that has nothing to do with it',
      (pid: number, text: string) => text.replace(/^\d+/, String(pid)),
    ],
    ['is empty', () => ''],
  ] as const)('its postmaster.pid %s: it comes up', async ([, change], context) => {
    const was = await ledger.capture();
    const path = join(clusterData(), 'postmaster.pid');
    const text = readFileSync(path, 'utf8');
    await powerCut();
    const { file, args } = asUser(serverUser()?.name, 'sleep', ['300']);
    const stranger = spawn(file, args);
    try {
      await waitFor(() => (stranger.pid !== undefined && identify(stranger.pid) ? true : undefined), {
        timeoutMs: 5000,
      });
      writeFileSync(path, change(stranger.pid ?? 0, text));
      const started = await Cli.run(ledger, 'start');
      expect(started.result?.['error']).toBeUndefined();
      expect(started.exitCode).toBe(0);
      expect(stranger.exitCode).toBeNull();
    } finally {
      stranger.kill('SIGKILL');
    }
    expect(differences(was, await ledger.capture())).toEqual([]);
    tally(context, 'completed');
  });
});

describe('setup --boot-recovery', () => {
  const root = () => join(ledger.sandbox.root, 'an image');
  const unit = () => join(root(), 'etc/systemd/system/holdfast-ledger.service');
  const wanted = () => join(root(), 'etc/systemd/system/multi-user.target.wants/holdfast-ledger.service');
  const setup = async (...argv: string[]) => await Cli.run(ledger, 'setup', ...argv, '--root', root());

  test('writes a unit for its owner and enables it; once more changes nothing; --no-boot-recovery removes it', async () => {
    expect(await setup('--boot-recovery')).toMatchObject({ exitCode: 0, result: { changed: true } });
    const text = readFileSync(unit(), 'utf8');
    expect(text).toContain(`ExecStart=/usr/bin/env bash "${ledger.program.home}/run.sh" "--appliance" `);
    expect(text).toMatch(/"recover"\nExecStart=.* "start" "--as-before"\nSuccessExitStatus=10\n/);
    expect(text).toContain(`User=${(await execa('id', ['-nu'])).stdout}\n`);
    expect(statSync(unit()).mode & 0o777).toBe(0o644);
    expect(realpathSync(wanted())).toBe(realpathSync(unit()));

    expect(await setup('--boot-recovery')).toMatchObject({ exitCode: 0, result: { changed: false } });
    expect(readFileSync(unit(), 'utf8')).toBe(text);

    expect(await setup('--no-boot-recovery')).toMatchObject({ exitCode: 0, result: { changed: true } });
    expect([existsSync(unit()), existsSync(wanted())]).toEqual([false, false]);
    expect(await setup('--no-boot-recovery')).toMatchObject({ exitCode: 0, result: { changed: false } });
  });

  test('leaves the unit of another appliance of the same name alone', async () => {
    mkdirSync(join(unit(), '..'), { recursive: true });
    writeFileSync(unit(), '# Written by Holdfast for "/elsewhere".\n');
    expect(await setup('--boot-recovery')).toMatchObject({ exitCode: 3 });
    expect(await setup('--no-boot-recovery')).toMatchObject({ exitCode: 3 });
    expect(readFileSync(unit(), 'utf8')).toBe('# Written by Holdfast for "/elsewhere".\n');
  });

  test('where systemd does not run it is refused, with the line for cron', async (context) => {
    if (existsSync('/run/systemd/system')) context.skip('this machine runs systemd');
    const { exitCode, result } = await Cli.run(ledger, 'setup', '--boot-recovery');
    expect(exitCode).toBe(3);
    expect(result?.['error']).toBe('cannot install a boot unit: this machine does not run systemd');
    expect(result?.['next']).toContain(`@reboot '${ledger.program.home}/run.sh' --appliance '`);
  });

  test('systemd reads the unit without a complaint, whatever is in the path', async (context) => {
    needs(context, 'systemd');
    const directory = join(ledger.sandbox.root, 'a "quoted" 100% $HOME \\ box');
    mkdirSync(directory);
    const text = bootUnitText({
      appliance: 'ledger',
      directory,
      door: join(directory, 'run.sh'),
      options: ['--appliance', join(directory, 'appliance.yaml')],
      user: 'root',
      after: ['lxd.service', 'snap.lxd.daemon.service', 'incus.service'],
      path: `${directory}/bin:/usr/bin`,
    });
    const path = join(ledger.sandbox.root, 'holdfast-odd.service');
    writeFileSync(path, text);
    const verified = await execa('systemd-analyze', ['verify', '--man=no', path], {
      reject: false,
      all: true,
    });
    expect(verified.all).toBe('');
    expect(verified.exitCode).toBe(0);
  });
});
