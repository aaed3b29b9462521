import type { PlacesReserve } from '../runtime.ts';
import type { LxdClient } from './client.ts';
import { askContainer } from './whole-output.ts';

/** On the container's own disk, and not on a volume: what a copy of a volume holds is not given back by removing it. */
const file = '/var/lib/holdfast-reserve';

/** LXD writes a file to a container's disk with each change of it, so that a full one is given no door any more. */
const bytesInEach = 32 * 1024 * 1024;

/** For a server that starts on a copy and replays its log there. All containers share their pool. */
const bytesInFirst = 128 * 1024 * 1024;

/** @param containers the first one stands for the pool */
export function reserveInContainers(client: LxdClient, containers: readonly string[]): PlacesReserve {
  const sizesBeside = (databaseBytes: number) =>
    containers.map((_name, index) => (index === 0 ? bytesInFirst + databaseBytes : bytesInEach));
  return {
    bytes: sizesBeside(0).reduce((sum, size) => sum + size, 0),
    async take(databaseBytes) {
      const sizes = sizesBeside(databaseBytes);
      await Promise.all(
        containers.map(
          async (name, index) =>
            await askContainer(client, name, ['fallocate', '--length', String(sizes[index]), file], {
              label: `fallocate in ${name} (the reserve for a restore)`,
            }),
        ),
      );
    },
    async release() {
      // One that does not answer keeps the others from nothing.
      const released = await Promise.allSettled(
        containers.map(
          async (name) => await askContainer(client, name, ['rm', '-f', file], { timeoutMs: 10_000 }),
        ),
      );
      for (const one of released) if (one.status === 'rejected') throw one.reason as Error;
    },
  };
}
