import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, globSync, mkdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { freePort } from '../lib/ports.ts';
import { findByPlace } from '../lib/processes.ts';
import { directoryDescriptor, type Runtime } from '../runtime/runtime.ts';
import { serverUser } from './binaries.ts';

/** What is known of an embedded cluster: written last when it is made, so that a half-made one has none. */
export interface Credentials {
  readonly port: number;
  readonly adminPassword: string;
  readonly appPassword: string;
  /** The database's name, given once: an appliance that is renamed keeps its data. */
  readonly database: string;
}

/** The superuser of an embedded cluster. */
export const administrator = 'holdfast';

const credentialsPath = (folder: string) => join(folder, 'credentials.json');

export function isInitialised(folder: string): boolean {
  return existsSync(credentialsPath(folder));
}

export function readCredentials(folder: string): Credentials {
  return JSON.parse(readFileSync(credentialsPath(folder), 'utf8')) as Credentials;
}

/** Makes a cluster with generated passwords on a free port. A half-made one of a killed start is thrown away. */
export async function initialiseCluster(
  runtime: Runtime,
  bin: string,
  folder: string,
  database: string,
): Promise<void> {
  const cluster = join(folder, 'cluster');
  const user = serverUser();
  rmSync(cluster, { recursive: true, force: true });
  for (const one of [folder, cluster, join(cluster, 'data'), join(cluster, 'socket')]) {
    mkdirSync(one, { recursive: true, mode: 0o700 });
    if (user && one !== folder) chownSync(one, user.uid, user.gid);
  }
  const credentials: Credentials = {
    port: await freePort(),
    adminPassword: randomBytes(24).toString('base64url'),
    appPassword: randomBytes(24).toString('base64url'),
    database,
  };
  writeOwned(join(cluster, 'password'), credentials.adminPassword);
  await runtime.run({
    file: join(bin, 'initdb'),
    args: [
      `--pgdata=${directoryDescriptor}/data`,
      `--username=${administrator}`,
      `--pwfile=${directoryDescriptor}/password`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C.UTF-8',
    ],
    cwd: '/',
    openDirectory: cluster,
    timeoutMs: 120_000,
    ...(user ? { user: user.name } : {}),
  });
  rmSync(join(cluster, 'password'));
  writeAccessFile(folder, 'open');
  writeFileAtomic(credentialsPath(folder), `${JSON.stringify(credentials)}\n`);
}

/**
 * The server refuses to start ("lock file already exists") when the pid in postmaster.pid,
 * or in the lock of its socket, answers a signal: after a
 * reboot it may be that of any other program, in a container without an init a dead server that nobody buries. Nor
 * does it start with an empty file. One that names a live server of this cluster, or no process, is the server's own
 * affair: it looks for shared memory that is still in use. Only for whoever holds the lock of the start.
 */
export function removeStaleLocks(folder: string): void {
  const cluster = join(folder, 'cluster');
  const data = realpathSync(join(cluster, 'data'));
  for (const name of globSync(['data/postmaster.pid', 'socket/.s.PGSQL.*.lock'], { cwd: cluster })) {
    const pid = Number.parseInt(readFileSync(join(cluster, name), 'utf8'), 10);
    const isServer = () => findByPlace({ program: 'postgres', folder: data }).includes(pid);
    if (Number.isNaN(pid) || (existsSync(`/proc/${pid}`) && !isServer())) rmSync(join(cluster, name));
  }
}

/** The process id of the server that runs in the cluster, by its own word. */
export function readPostmasterPid(folder: string): number {
  return Number.parseInt(readFileSync(join(folder, 'cluster', 'data', 'postmaster.pid'), 'utf8'), 10);
}

/** Everybody with a password; in a window only over the socket; in a restore nobody but the administrator. */
export type Access = 'open' | 'fenced' | 'secluded';

export function writeAccessFile(folder: string, access: Access): void {
  const rule = access === 'open' ? 'scram-sha-256' : 'reject';
  const lines = [
    '# Written by Holdfast; changes are lost.',
    `local all ${administrator} scram-sha-256`,
    `local all all ${access === 'secluded' ? 'reject' : 'scram-sha-256'}`,
    `host all all 127.0.0.1/32 ${rule}`,
    `host all all ::1/128 ${rule}`,
  ];
  writeOwned(join(folder, 'cluster', 'data', 'pg_hba.conf'), `${lines.join('\n')}\n`);
}

/** Into the cluster's folder, belonging to the server's user from the start: a crash leaves none that it cannot read. */
function writeOwned(path: string, text: string): void {
  writeFileAtomic(path, text, 0o600, serverUser());
}
