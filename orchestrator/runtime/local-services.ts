import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { endProcesses } from '../lib/end-processes.ts';
import { findListeners } from '../lib/ports.ts';
import {
  findByEnvironment,
  findByGroup,
  findByPlace,
  listEnvironment,
  identify,
  isAlive,
  mayHaveEnvironment,
  signalProcess,
  workingFolder,
  type ProcessIdentity,
} from '../lib/processes.ts';
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
    if (identity) record(service, identity);
  } finally {
    closeSync(log);
    if (folder !== undefined) closeSync(folder);
  }
}

/** A service that cannot be recorded (a full disk) must not run: whoever starts it again would have two of it. */
function record(service: ServiceHandle, identity: ProcessIdentity): void {
  try {
    writeFileAtomic(recordPath(service), `${JSON.stringify(identity)}\n`);
  } catch (error) {
    // It leads its own process group.
    signalProcess(-identity.pid, 'SIGKILL');
    throw error;
  }
}

/** @see Runtime.serviceState */
export function serviceState(service: ServiceHandle): ServiceState {
  const identity = readRecord(service);
  return identity && isAlive(identity) && isOurs(service, identity.pid)
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
  const leader = recorded && isAlive(recorded) && isOurs(service, recorded.pid) ? recorded : undefined;
  const members = () => {
    const found = findByEnvironment('HOLDFAST_SERVICE', mark(service));
    if (service.place) found.push(...findByPlace(service.place));
    // The group counts only while its leader is the process that we started: pids are reused.
    if (leader && isAlive(leader)) found.push(...findByGroup(leader.pid));
    return [...found, ...findEscaped(policy.listening, found)];
  };
  const { left } = await endProcesses(members, {
    signal: policy.signal,
    graceMs: policy.timeoutMs,
    ...(policy.kill === 'process' && leader && { only: leader.pid }),
  });
  if (left.length > 0)
    throw new Error(`service ${service.name} cannot be ended: processes ${left.join(', ')}`);
  rmSync(recordPath(service), { force: true });
}

/** Processes but those known that left group and environment behind, and still answer in the service's place. */
function findEscaped(where: StopPolicy['listening'], known: readonly number[]): number[] {
  if (!where) return [];
  const folder = `${realpathSync(where.within)}/`;
  const others = (pid: number) => pid !== process.pid && !known.includes(pid);
  return findListeners(where.port, (pid) => others(pid) && `${workingFolder(pid)}/`.startsWith(folder));
}

/**
 * A record that came along with a copied folder names somebody else's process. One that is just ending has no
 * environment left to say so, and one that is just being executed has none yet (3 of 100 looks at a database server
 * that was being started): to wait is right for either.
 */
function isOurs(service: ServiceHandle, pid: number): boolean {
  return mayHaveEnvironment(pid, 'HOLDFAST_SERVICE', mark(service));
}

function readRecord(service: ServiceHandle): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(recordPath(service), 'utf8')) as ProcessIdentity;
  } catch {
    return undefined;
  }
}
