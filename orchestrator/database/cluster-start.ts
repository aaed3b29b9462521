import { join } from 'node:path';
import { Refusal } from '../lib/errors.ts';
import { waitFor } from '../lib/wait.ts';
import { directoryDescriptor, type Runtime, type ServiceHandle } from '../runtime/runtime.ts';
import { serverUser } from './binaries.ts';
import { removeStaleLocks } from './cluster.ts';

interface ClusterStart {
  readonly runtime: Runtime;
  /** Where the cluster, its log and its lock lie. */
  readonly folder: string;
  /** The folder of the server's programs, of the version that made the cluster. */
  readonly bin: string;
  readonly port: number;
  readonly service: ServiceHandle;
  readonly stop: () => Promise<void>;
}

/**
 * Starts the server of a cluster; it answers some time later. `doctor` and an update may both find it stopped: the second
 * one to come finds it running.
 *
 * @throws Refusal where another command has been at it for too long
 */
export async function startCluster(start: ClusterStart): Promise<void> {
  const { runtime, folder, service } = start;
  const lock = await waitFor(async () => await runtime.tryLock(join(folder, 'start.lock')), {
    timeoutMs: 90_000,
  });
  if (!lock) throw new Refusal('cannot start the database server: another command has been at it for 90 s');
  try {
    if (!(await runtime.serviceState(service)).running) await startAlone(start);
  } finally {
    await lock.release();
  }
}

async function startAlone({ runtime, folder, bin, port, service, stop }: ClusterStart): Promise<void> {
  // Children of a server that died hold its shared memory, and the new one would refuse to start.
  await stop();
  removeStaleLocks(folder);
  const user = serverUser();
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '../socket',
    unix_socket_permissions: '0700',
    log_timezone: 'UTC',
  };
  await runtime.startService({
    ...service,
    argv: [
      join(bin, 'postgres'),
      ...['-D', `${directoryDescriptor}/data`, '-p', String(port)],
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    cwd: '/',
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C.UTF-8' },
    logFile: join(folder, 'server.log'),
    openDirectory: join(folder, 'cluster'),
    ...(user ? { user: user.name } : {}),
  });
}
