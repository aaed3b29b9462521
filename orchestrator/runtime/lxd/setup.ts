import type { LxdClient } from './client.ts';
import { ensureContainer, ensureNetwork, ensurePool, ensureVolume, type Mount } from './ensure.ts';
import { ensureImage } from './images.ts';
import type { Layout } from './layout.ts';
import { prepareContainers, untilBooted } from './prepare.ts';
import { renewMounts } from './stale-mounts.ts';

export interface Wanted {
  readonly client: LxdClient;
  readonly layout: Layout;
  /** The checkout. */
  readonly directory: string;
  /** Where the definitions lie. */
  readonly definitions: string;
  readonly mounts: Readonly<Record<'postgres' | 'backend' | 'frontend', readonly Mount[]>>;
  readonly node: string;
  readonly users: readonly number[];
  /** Whether the database has a container of its own here. */
  readonly hasDatabase: boolean;
  readonly say: (line: string) => void;
}

/** Makes what an appliance needs of LXD, where it is missing. Run twice, the second one changes nothing. */
export async function setUpContainers(wanted: Wanted): Promise<void> {
  const { hasDatabase, mounts } = wanted;
  await ensurePool(wanted);
  const gateway = await ensureNetwork(wanted);
  if (hasDatabase) {
    await ensureVolume(wanted);
    const image = await ensureImage(wanted, 'postgres');
    await ensureContainer(wanted, 'postgres', { image, gateway, mounts: mounts.postgres });
  }
  const image = await ensureImage(wanted, 'node');
  for (const place of ['backend', 'frontend'] as const)
    await ensureContainer(wanted, place, { image, gateway, mounts: mounts[place] });
  const places = hasDatabase
    ? (['postgres', 'backend', 'frontend'] as const)
    : (['backend', 'frontend'] as const);
  await untilBooted(
    wanted.client,
    places.map((place) => wanted.layout.containers[place]),
  );
  for (const place of places) {
    const container = wanted.layout.containers[place];
    if (await renewMounts(wanted, container, mounts[place])) await untilBooted(wanted.client, [container]);
  }
  await prepareContainers({ ...wanted, places });
}
