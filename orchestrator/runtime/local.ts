import { closeSync, openSync } from 'node:fs';
import { execa } from 'execa';
import { ask } from '../appliance/http.ts';
import { baseEnvironment } from '../config/environment.ts';
import { endProcesses } from '../lib/end-processes.ts';
import { findByEnvironment } from '../lib/processes.ts';
import { runLocally } from './local-command.ts';
import { serviceState, startedServices, startService, stopService } from './local-services.ts';
import type { HeldLock, Runtime } from './runtime.ts';

/** The appliance runs on this machine, as processes of this user. */
export const localRuntime: Runtime = {
  name: 'local',
  gate: 'preload',
  environment: baseEnvironment,
  run: runLocally,
  tryLock,
  startService,
  stopService,
  serviceState: async (service) => await Promise.resolve(serviceState(service)),
  startedServices: async (stateFolder) => await Promise.resolve(startedServices(stateFolder)),
  endRun,
  ask,
  addressOf: async () => await Promise.resolve('127.0.0.1'),
  // Services open their ports themselves, and their gate is in them.
  expose: async () => {},
  exposed: async () => await Promise.resolve([]),
  conceal: async () => {},
  setUp: async () => {},
  verify: async () => await Promise.resolve(undefined),
  glance: async () => await Promise.resolve(undefined),
  prepare: async () => {},
};

/**
 * The lock is held by a helper: `flock` opens the file and becomes `cat` (no child that could keep the lock when
 * the helper dies). `cat` reads a pipe that only we hold, so the kernel closes it however we die, `cat` ends, and
 * the lock is free. Services that we start inherit neither pipe nor lock.
 */
async function tryLock(path: string): Promise<HeldLock | undefined> {
  makePrivate(path);
  const helper = execa(
    'flock',
    ['--nonblock', '--conflict-exit-code', '75', '--no-fork', path, 'sh', '-c', 'echo held; exec cat'],
    { stdin: 'pipe', detached: true, reject: false, cleanup: false, cwd: '/', env: { HOLDFAST_RUN: '' } },
  );
  let released = false;
  const ended = helper.then((result) => result.exitCode);
  const acquired = await Promise.race([
    new Promise<true>((resolve) => helper.stdout.once('data', () => resolve(true))),
    ended.then((code) => {
      if (code === 75) return false as const;
      throw new Error(`flock could not lock ${path} (exit ${code}); it is part of util-linux`);
    }),
  ]);
  if (!acquired) return undefined;
  return {
    lost: new Promise((resolve) => void ended.then(() => (released ? undefined : resolve()))),
    release: async () => {
      released = true;
      helper.stdin.end();
      await ended;
    },
  };
}

/** flock would make the file as the umask has it, and whoever may open it could hold the lock. */
function makePrivate(path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o600));
  } catch {
    // flock says why.
  }
}

async function endRun(runId: string): Promise<number> {
  const { ended, left } = await endProcesses(() => findByEnvironment('HOLDFAST_RUN', runId), {
    ...{ signal: 'SIGTERM', graceMs: 3000 },
  });
  if (left.length > 0) throw new Error(`processes of run ${runId} cannot be ended: ${left.join(', ')}`);
  return ended;
}
