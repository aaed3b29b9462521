import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { localRuntime } from '../../../orchestrator/runtime/local.ts';
import type { HeldLock } from '../../../orchestrator/runtime/runtime.ts';
import { holdersOf } from '../../support/lock-holders.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const runtimeModule = resolve(import.meta.dirname, '../../../orchestrator/runtime/local.ts');

let path: string;
const held: HeldLock[] = [];
const children: ChildProcess[] = [];
beforeEach(() => {
  path = join(temporaryFolder(), 'lock');
});
afterEach(async () => {
  for (const lock of held.splice(0)) await lock.release();
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

async function take(): Promise<HeldLock | undefined> {
  const lock = await localRuntime.tryLock(path);
  if (lock) held.push(lock);
  return lock;
}

/** Another process that takes the lock and holds it until it is killed; with more code to run while it does. */
async function holder(more = ''): Promise<ChildProcess> {
  const code = `
    import { localRuntime } from ${JSON.stringify(runtimeModule)};
    const lock = await localRuntime.tryLock(${JSON.stringify(path)});
    ${more}
    console.log(lock ? 'held' : 'refused');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  expect(line.toString()).toBe('held\n');
  return child;
}

test('the second one does not get it, and gets it when it is free', async () => {
  const first = await take();
  expect(first).toBeDefined();
  expect(await take()).toBeUndefined();
  await first?.release();
  expect(await take()).toBeDefined();
});

test('it is free after its holder was killed with SIGKILL', async () => {
  const child = await holder();
  expect(await take()).toBeUndefined();
  child.kill('SIGKILL');
  await once(child, 'exit');
  await vi.waitFor(async () => expect(await take()).toBeDefined(), { timeout: 8000, interval: 10 });
});

test('a service that was started meanwhile does not hold it on', async () => {
  const folder = temporaryFolder();
  const launch = {
    ...{ name: 'api', stateFolder: folder, argv: ['sleep', '60'], cwd: '/' },
    ...{ env: { PATH: process.env['PATH'] ?? '' }, logFile: join(folder, 'api.log') },
  };
  const child = await holder(`await localRuntime.startService(${JSON.stringify(launch)});`);
  expect((await localRuntime.serviceState(launch)).running).toBe(true);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await vi.waitFor(async () => expect(await take()).toBeDefined(), { timeout: 8000, interval: 10 });
  expect((await localRuntime.serviceState(launch)).running).toBe(true);
  await localRuntime.stopService(launch, { signal: 'SIGTERM', timeoutMs: 2000, kill: 'group' });
});

test('whoever holds it is told when it is lost, and is not when it was given back', async () => {
  const lock = await take();
  if (!lock) throw new Error('not taken');
  const lost = vi.fn<() => void>();
  void lock.lost.then(lost);
  for (const pid of holdersOf(path)) process.kill(pid, 'SIGKILL');
  await vi.waitFor(() => expect(lost).toHaveBeenCalledOnce(), { timeout: 8000, interval: 5 });
  const again = await take();
  if (!again) throw new Error('not free');
  const given = vi.fn<() => void>();
  void again.lost.then(given);
  await again.release();
  await new Promise((done) => setTimeout(done, 50));
  expect(given).not.toHaveBeenCalled();
});

test('a folder that is not there is an error, not a lock that somebody holds', async () => {
  await expect(localRuntime.tryLock('/nowhere/lock')).rejects.toThrow('flock could not lock /nowhere/lock');
});

test('taking it leaves nothing but the file', async () => {
  const lock = await take();
  await lock?.release();
  expect(readdirSync(join(path, '..'))).toEqual(['lock']);
});
