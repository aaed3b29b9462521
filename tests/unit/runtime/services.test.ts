import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { findByEnvironment, signalProcess } from '../../../orchestrator/lib/processes.ts';
import { localRuntime } from '../../../orchestrator/runtime/local.ts';
import type { ServiceLaunch, StopPolicy } from '../../../orchestrator/runtime/runtime.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
});
/** Everything that the service of this test started and that lives. */
const family = (): number[] => findByEnvironment('HOLDFAST_SERVICE', `${folder}/api`);
afterEach(() => {
  for (const pid of family()) signalProcess(pid, 'SIGKILL');
});

const launch = (script: string): ServiceLaunch => ({
  ...{ name: 'api', stateFolder: folder, argv: ['sh', '-c', script], cwd: '/' },
  ...{ env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' }, logFile: join(folder, 'api.log') },
});
const gently: StopPolicy = { signal: 'SIGTERM', timeoutMs: 8000, kill: 'group' };
const impatiently: StopPolicy = { ...gently, timeoutMs: 100 };

/** Starts it and waits until it has printed "ready" and, where that is known, its family is as big as that. */
async function start(script: string, members?: number): Promise<ServiceLaunch> {
  const service = launch(script);
  await localRuntime.startService(service);
  await vi.waitFor(
    () => {
      expect(readFileSync(service.logFile, 'utf8')).toContain('ready');
      expect(family()).toHaveLength(members ?? family().length);
    },
    { timeout: 8000, interval: 5 },
  );
  return service;
}

test('a service runs, writes its log, and is known by its record', async () => {
  const service = await start('echo ready; exec sleep 60', 1);
  const state = await localRuntime.serviceState(service);
  expect(state).toEqual({ running: true, pid: family()[0] });
  expect(statSync(service.logFile).mode & 0o777).toBe(0o600);
  expect(JSON.parse(readFileSync(join(folder, 'api.json'), 'utf8'))).toMatchObject({ pid: family()[0] });
});

test('one that ended is not running', async () => {
  const service = launch('echo ready');
  await localRuntime.startService(service);
  await vi.waitFor(async () => expect((await localRuntime.serviceState(service)).running).toBe(false), {
    timeout: 5000,
  });
});

test('a record of a process that only has the same number is not believed', async () => {
  writeFileSync(join(folder, 'api.json'), JSON.stringify({ pid: process.pid, startTicks: '1', bootId: 'x' }));
  expect((await localRuntime.serviceState(launch(''))).running).toBe(false);
  await localRuntime.stopService(launch(''), impatiently);
  writeFileSync(join(folder, 'api.json'), 'half a rec');
  expect((await localRuntime.serviceState(launch(''))).running).toBe(false);
});

test('a program that is not there is told', async () => {
  await expect(localRuntime.startService({ ...launch(''), argv: ['/no/such/program'] })).rejects.toThrow(
    'ENOENT',
  );
});

test('it gets its environment and nothing of ours', async () => {
  vi.stubEnv('HOLDFAST_TEST', 'ours');
  const service = await start('echo "[$HOLDFAST_TEST]"; echo ready; exec sleep 60');
  expect(readFileSync(service.logFile, 'utf8')).toContain('[]');
  vi.unstubAllEnvs();
});

describe('stopping', () => {
  test('returns when all of it is gone, and may be done twice', async () => {
    const service = await start('sleep 60 & sleep 60 & echo ready; wait', 3);
    await localRuntime.stopService(service, gently);
    expect(family()).toEqual([]);
    expect(existsSync(join(folder, 'api.json'))).toBe(false);
    await localRuntime.stopService(service, gently);
  });

  test('gives it the time to finish what it does', async () => {
    const service = await start(
      `trap 'sleep 0.2; echo finished; exit 0' TERM; echo ready; while :; do sleep 0.02; done`,
    );
    await localRuntime.stopService(service, { ...gently, kill: 'process' });
    expect(readFileSync(service.logFile, 'utf8')).toContain('finished');
    expect(family()).toEqual([]);
  });

  test('kills one that ignores SIGTERM when its time is over', async () => {
    const service = await start(`trap '' TERM; echo ready; exec sleep 60`);
    const startedAt = performance.now();
    await localRuntime.stopService(service, impatiently);
    expect(performance.now() - startedAt).toBeGreaterThan(90);
    expect(family()).toEqual([]);
  });

  test('finds a grandchild that left its group and its parent, by its environment', async () => {
    const service = await start('setsid sleep 60 & sleep 0.05; echo ready; exec sleep 60', 2);
    await localRuntime.stopService(service, gently);
    expect(family()).toEqual([]);
  });

  test('finds what it left behind even after it ended itself, and without a record', async () => {
    const service = await start('setsid sleep 60 & echo ready', 1);
    rmSync(join(folder, 'api.json'), { force: true });
    expect(family()).toHaveLength(1);
    await localRuntime.stopService(service, gently);
    expect(family()).toEqual([]);
  });

  test('sends the signal to the main process only, where that is wanted; what is left then is killed', async () => {
    const child = `sh -c 'trap "echo child got it; exit 0" TERM; while :; do sleep 0.02; done'`;
    const service = await start(`${child} & trap 'echo main got it; exit 0' TERM; echo ready; wait`);
    await localRuntime.stopService(service, { ...gently, timeoutMs: 1000, kill: 'process' });
    const log = readFileSync(service.logFile, 'utf8');
    expect(log).toContain('main got it');
    expect(log).not.toContain('child got it');
    expect(family()).toEqual([]);
  });

  test('leaves another service alone, though its name begins alike', async () => {
    const service = await start('echo ready; exec sleep 60');
    const other = { ...launch('exec sleep 60'), name: 'api-2', logFile: join(folder, 'other.log') };
    await localRuntime.startService(other);
    await localRuntime.stopService(service, gently);
    expect((await localRuntime.serviceState(other)).running).toBe(true);
    await localRuntime.stopService(other, gently);
  });
});
