import { mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { renewMounts } from '../../../../orchestrator/runtime/lxd/stale-mounts.ts';
import { FakeDaemon } from '../../support/a-daemon.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const numberOf = (path: string) => {
  const { dev, ino } = statSync(path);
  return `${dev}:${ino}`;
};

test('a container that has a folder from before it was made anew is started again, and only then', async () => {
  const [daemon, said] = [new FakeDaemon(), [] as string[]];
  const [state, disk] = [join(temporaryFolder(), 'state'), join(temporaryFolder(), 'disk')];
  for (const folder of [state, disk]) mkdirSync(folder);
  // What the container found when it was started.
  const inside = [numberOf(state), numberOf(disk)];
  daemon.prints = () => `${inside.join('\n')}\nholdfast: that was all\n`;
  const mounts = [{ source: state }, { source: disk, target: '/var/tmp/disk' }, { source: `${state}-none` }];
  const renew = async () =>
    await renewMounts(
      { client: daemon.client, say: (line) => void said.push(line) },
      'shop-postgres',
      mounts,
    );
  expect(await renew()).toBe(false);
  expect(daemon.changes).toEqual([]);
  renameSync(state, `${state}-lost`);
  mkdirSync(state);
  expect(await renew()).toBe(true);
  expect(said).toEqual([`starting shop-postgres anew: it has what lay at ${state} before`]);
  expect(daemon.changes.map(({ body }) => body)).toMatchObject([{ action: 'stop' }, { action: 'start' }]);
  inside[0] = numberOf(state);
  inside[1] = 'none';
  expect(await renew()).toBe(true);
  expect(said.at(-1)).toContain('what lay at /var/tmp/disk before');
});
