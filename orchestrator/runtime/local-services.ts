import { closeSync, existsSync, readdirSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import {
  findByEnvironment,
  findByGroup,
  hasEnvironment,
  listEnvironment,
  identify,
  isAlive,
  isLettingGo,
  signalProcess,
  type ProcessIdentity,
} from '../lib/processes.ts';
import { waitFor } from '../lib/wait.ts';
import { asUser } from './local-user.ts';
import type { ServiceHandle, ServiceLaunch, ServiceState, StopPolicy } from './runtime.ts';

/*
 * A service is a process group of its own that outlives us. What is known of it is on disk: pid, start time, boot.
 * A second trace is in its environment (HOLDFAST_SERVICE), which its children inherit: so a service is found even
 * when the record is gone, and it is gone only when nothing that it started is left.
 */

const recordPath = (service: ServiceHandle) => join(service.stateFolder, `${service.name}.json`);
const mark = (service: ServiceHandle) => `${service.stateFolder}/${service.name}`;

/** @see Runtime.startService */
export async function startService(service: ServiceLaunch): Promise<void> {
  mkdirSync(service.stateFolder, { recursive: true, mode: 0o700 });
  const [program, ...rest] = service.argv;
  if (program === undefined) throw new Error(`service ${service.name} has no command`);
  const { file, args } = asUser(service.user, program, rest);
  const log = openSync(service.logFile, 'a', 0o600);
  const folder = service.openDirectory === undefined ? undefined : openSync(service.openDirectory, 'r');
  try {
    // execa waits for its children's end; a service has none that we see, so Node's own spawn it is.
    const child = spawn(file, args, {
      cwd: service.cwd,
      env: { ...service.env, HOLDFAST_SERVICE: mark(service) },
      stdio: ['ignore', log, log, ...(folder === undefined ? [] : [folder])],
      detached: true,
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.unref();
    const identity = child.pid === undefined ? undefined : identify(child.pid);
    if (identity) writeFileAtomic(recordPath(service), `${JSON.stringify(identity)}\n`);
  } finally {
    closeSync(log);
    if (folder !== undefined) closeSync(folder);
  }
}

/** @see Runtime.serviceState */
export function serviceState(service: ServiceHandle): ServiceState {
  const identity = readRecord(service);
  return identity && isAlive(identity) && hasEnvironment(identity.pid, 'HOLDFAST_SERVICE', mark(service))
    ? { running: true, pid: identity.pid }
    : { running: false };
}

/** @see Runtime.startedServices */
export function startedServices(stateFolder: string): string[] {
  const recorded = existsSync(stateFolder)
    ? readdirSync(stateFolder)
        .filter((name) => name.endsWith('.json'))
        .map((name) => name.slice(0, -'.json'.length))
    : [];
  const prefix = `${stateFolder}/`;
  const living = listEnvironment('HOLDFAST_SERVICE')
    .filter((value) => value.startsWith(prefix))
    .map((value) => value.slice(prefix.length));
  return [...new Set([...recorded, ...living])];
}

/** @see Runtime.stopService */
export async function stopService(service: ServiceHandle, policy: StopPolicy): Promise<void> {
  const recorded = readRecord(service);
  // A record that came along with a copied folder names somebody else's process.
  const isOurs = recorded !== undefined && hasEnvironment(recorded.pid, 'HOLDFAST_SERVICE', mark(service));
  const identity = isOurs ? recorded : undefined;
  const seen = new Set<number>();
  const members = () => {
    const found = new Set(findByEnvironment('HOLDFAST_SERVICE', mark(service)));
    // The group counts only while its leader is the process that we started: pids are reused.
    if (identity && isAlive(identity)) for (const pid of findByGroup(identity.pid)) found.add(pid);
    for (const pid of found) seen.add(pid);
    for (const pid of seen) if (isLettingGo(pid)) found.add(pid);
    return [...found];
  };
  const first = policy.kill === 'process' && identity && isAlive(identity) ? [identity.pid] : members();
  for (const pid of first) signalProcess(pid, policy.signal);
  const gone = () =>
    waitFor(() => (members().length === 0 ? true : undefined), { timeoutMs: policy.timeoutMs });
  if (first.length > 0 && !(await gone())) {
    const killed = await waitFor(
      () => {
        const left = members();
        for (const pid of left) signalProcess(pid, 'SIGKILL');
        return left.length === 0 ? true : undefined;
      },
      { timeoutMs: 10_000 },
    );
    if (!killed)
      throw new Error(`service ${service.name} cannot be ended: processes ${members().join(', ')}`);
  }
  rmSync(recordPath(service), { force: true });
}

function readRecord(service: ServiceHandle): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(recordPath(service), 'utf8')) as ProcessIdentity;
  } catch {
    return undefined;
  }
}
