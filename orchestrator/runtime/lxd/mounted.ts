import type { LxdClient } from './client.ts';
import { askContainer } from './whole-output.ts';

/**
 * Whether a running container sees this volume at this path, and nothing below it. LXD 5.0 may leave the former volume of a
 * device mounted under the new one: the new one goes with the next change, and programs write to a volume that is no more.
 */
export async function isMounted(
  client: LxdClient,
  container: string,
  { path, source = '' }: Readonly<Record<string, string>>,
): Promise<boolean> {
  const { stdout } = await askContainer(client, container, ['cat', '/proc/self/mountinfo']);
  const mounts = stdout
    .split('\n')
    .map((line) => line.split(' '))
    .filter((fields) => fields[4] === path);
  const [mount] = mounts;
  return mount !== undefined && mounts.length === 1 && isOf(mount, source);
}

/**
 * @param fields of /proc/PID/mountinfo (proc_pid_mountinfo(5)): btrfs and folders tell the volume by the fourth one, the root
 *   of the mount, ZFS and LVM by the device; others by none
 */
function isOf(fields: readonly string[], volume: string): boolean {
  const device = fields[fields.indexOf('-') + 2] ?? '';
  const told = [fields[3] ?? '', device].find((one) => one.includes('custom'));
  return [volume, volume.replaceAll('-', '--')].some((name) => told?.endsWith(`_${name}`) ?? true);
}
