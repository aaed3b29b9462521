import { Refusal } from '../../lib/errors.ts';
import { formatBytes } from '../../lib/units.ts';
import type { Instance, LxdClient } from './client.ts';

/** @throws Refusal for a container that is not there, is stopped, or is frozen */
export function verifyRunning(name: string, there: Instance | undefined): void {
  if (there === undefined)
    throw new Refusal(
      `cannot go on: the container ${name} is not there`,
      './run.sh setup makes it anew; the data are kept',
    );
  const { status } = there;
  if (status === 'Running') return;
  if (status === 'Frozen')
    throw new Refusal(`cannot go on: the container ${name} is frozen`, './run.sh start thaws it');
  throw new Refusal(
    `cannot go on: the container ${name} is ${status.toLowerCase()}`,
    './run.sh start starts it',
  );
}

/** What a window needs beside what it is for: logs, temporary files, a second journal. */
const marginBytes = 256 * 1024 * 1024;

/** @throws Refusal where the pool is nearly full: containers and the database write there, whatever room this machine has */
export async function verifyRoom(client: LxdClient, pool: string): Promise<void> {
  const resources = await client.read<{ space?: { total?: number; used?: number } }>(
    `storage-pools/${pool}/resources`,
  );
  const { total = 0, used = 0 } = resources?.space ?? {};
  // A pool that tells nothing of its size.
  if (total === 0 || total - used >= marginBytes) return;
  throw new Refusal(
    `cannot go on: the storage pool ${pool} has ${formatBytes(total - used)} left, and ${formatBytes(marginBytes)} are needed`,
    `${client.program} storage info ${pool} shows it; docs/OPERATING.md says how it becomes bigger`,
  );
}
