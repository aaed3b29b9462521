import { statSync } from 'node:fs';
import type { Mount } from './ensure.ts';
import type { LxdClient } from './client.ts';
import { askContainer } from './whole-output.ts';

/** What lies at each of these paths, a line each. */
const look = 'for path; do stat --dereference --format=%d:%i -- "$path" 2>/dev/null || echo none; done';

/**
 * Starts a container anew that has something else mounted than what lies there now: a folder that was removed and made
 * again, or one on which a disk was mounted since. What is written to such a one nobody finds. May be run twice.
 *
 * @returns whether it had to be
 */
export async function renewMounts(
  { client, say }: { readonly client: LxdClient; readonly say: (line: string) => void },
  container: string,
  mounts: readonly Mount[],
): Promise<boolean> {
  const there = mounts.flatMap(({ source, target = source }) => {
    const stat = statSync(source, { bigint: true, throwIfNoEntry: false });
    return stat ? [{ target, is: `${stat.dev}:${stat.ino}` }] : [];
  });
  if (there.length === 0) return false;
  const { stdout } = await askContainer(client, container, [
    ...['/bin/sh', '-c', look, 'sh'],
    ...there.map(({ target }) => target),
  ]);
  const inside = stdout.split('\n');
  const stale = there.filter(({ is }, index) => inside[index] !== is);
  if (stale.length === 0) return false;
  say(
    `starting ${container} anew: it has what lay at ${stale.map(({ target }) => target).join(', ')} before`,
  );
  const state = `instances/${container}/state`;
  await client.change('PUT', state, { action: 'stop', timeout: 60 });
  await client.change('PUT', state, { action: 'start', timeout: 60 });
  return true;
}
