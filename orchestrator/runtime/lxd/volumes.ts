import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { writeFileAtomic } from '../../lib/atomic-file.ts';
import { Refusal } from '../../lib/errors.ts';
import { shellWord } from '../../lib/shell-word.ts';
import { CommandError } from '../runtime.ts';
import type { Volumes } from '../volumes.ts';
import type { Instance, LxdClient } from './client.ts';
import type { Layout } from './layout.ts';
import { isMounted } from './mounted.ts';
import { untilBooted } from './prepare.ts';

/** Which volume is in use. Absent before the first restore: then it is the one that setup makes. */
interface Places {
  readonly live: string;
  readonly aside: readonly { readonly volume: string; readonly mark: string }[];
}

/** Drivers whose copies of volumes in the same pool share what is equal. */
const sharing = ['btrfs', 'zfs'];

/** Devices of the database's container: its data, and what is looked into beside them. */
const dataDevice = 'data';
const copyDevice = 'holdfast-copy';

/** @throws Refusal for the note of an appliance of another name: a volume serves one server alone */
function readPlaces(file: string, layout: Layout): Places {
  if (!existsSync(file)) return { live: layout.volume, aside: [] };
  const noted = JSON.parse(readFileSync(file, 'utf8')) as Places;
  if (isVolumeOf(layout, noted.live)) return noted;
  throw new Refusal(
    `cannot go on: by ${file} the database lies on the volume ${noted.live}, and the appliance is called ${layout.appliance}`,
    `give it its former name back in appliance.yaml; in a copy of its checkout: rm ${shellWord(file)}, then ./run.sh setup makes an empty database`,
  );
}

/**
 * Where the note is lost, with the state directory for one, the container knows: to take the first volume for the live one
 * would serve rows of long ago, and remove those of today as set aside. May be run twice.
 *
 * @returns the live one
 * @throws Refusal where neither knows, and there are volumes with data
 */
export async function recallLive(client: LxdClient, layout: Layout, file: string): Promise<string> {
  if (existsSync(file)) return readPlaces(file, layout).live;
  const { pool, volume } = layout;
  const container = await client.read<Instance>(`instances/${layout.containers.postgres}`);
  const used = container?.devices[dataDevice]?.['source'];
  if (used !== undefined && used !== volume && isVolumeOf(layout, used)) {
    writePlaces(file, { live: used, aside: [] });
    return used;
  }
  const all = await listVolumes(client, layout);
  const isKnown =
    all.length === 0 || (all.includes(volume) && !all.some((one) => one.startsWith(`${volume}.data-`)));
  if (used === undefined && !isKnown)
    throw new Refusal(
      `cannot set up: nobody knows any more which volume of the pool ${pool} holds the database: ${all.join(', ')}`,
      `bring back ${file}, which says so`,
    );
  return volume;
}

const writePlaces = (file: string, to: Places) => {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileAtomic(file, `${JSON.stringify(to)}\n`);
};

/** The one with the database's data, the copies of it that are ways back, and what was set aside. */
export async function listVolumes(client: LxdClient, layout: Layout): Promise<string[]> {
  const all = await client.read<{ name: string }[]>(
    `storage-pools/${layout.pool}/volumes/custom?recursion=1`,
  );
  return (all ?? []).map(({ name }) => name).filter((name) => isVolumeOf(layout, name));
}

/** Every volume of an appliance begins with this; what follows begins with a dot. */
const isVolumeOf = (layout: Layout, name: string) =>
  name === layout.volume || name.startsWith(`${layout.volume}.`);

/** @param file where it is noted which one is in use */
export function lxdVolumes(client: LxdClient, layout: Layout, file: string): Volumes {
  const { pool, volume } = layout;
  const container = `instances/${layout.containers.postgres}`;
  const pathOf = (name: string) => `storage-pools/${pool}/volumes/custom/${name}`;
  const places = () => readPlaces(file, layout);
  const write = (to: Places) => writePlaces(file, to);

  const attach = async (device: string, to: Readonly<Record<string, string>> | undefined) => {
    const there = await client.read<Instance>(container);
    if (!there) return;
    const { [device]: former, ...devices } = there.devices;
    if (JSON.stringify(former) === JSON.stringify(to)) return;
    await client.change('PUT', container, {
      ...there,
      devices: to === undefined ? devices : { ...devices, [device]: to },
    });
  };
  const inUse = async () => (await client.read<Instance>(container))?.devices[dataDevice];
  /** Of one that does not run it is enough that its device says so. */
  const isSeen = async (device: Readonly<Record<string, string>>) =>
    (await client.read<Instance>(container))?.status !== 'Running' ||
    (await isMounted(client, layout.containers.postgres, device));
  const seat = async (device: Readonly<Record<string, string>>) => {
    try {
      await attach(dataDevice, device);
      if (await isSeen(device)) return;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
    }
    await client.change('PUT', `${container}/state`, { action: 'stop', force: true });
    await attach(dataDevice, device);
    await client.change('PUT', `${container}/state`, { action: 'start', timeout: 60 });
    await untilBooted(client, [layout.containers.postgres]);
    if (!(await isSeen(device)))
      throw new Error(
        `the container ${layout.containers.postgres} does not see the volume ${device['source']}, though it was started anew`,
      );
  };
  const remove = async (name: string) => {
    if (await client.read(pathOf(name))) await client.change('DELETE', pathOf(name));
    const { live, aside } = places();
    const left = aside.filter((one) => one.volume !== name);
    if (left.length < aside.length) write({ live, aside: left });
  };
  const copy = async (from: string, suffix: string) => {
    const name = `${volume}.${suffix}`;
    const source = await client.read<{ config: Record<string, string>; description: string }>(pathOf(from));
    if (!source) throw new Error(`the volume ${from} is gone from the pool ${pool}`);
    await remove(name);
    await client.change('POST', `storage-pools/${pool}/volumes/custom`, {
      name,
      description: source.description,
      // Its volatile settings say how its owners are shifted, and it has the same ones.
      config: source.config,
      source: { type: 'copy', pool, name: from, volume_only: true },
    });
    return name;
  };
  return {
    async areCheap() {
      const there = await client.read<{ driver: string }>(`storage-pools/${pool}`);
      return there !== undefined && sharing.includes(there.driver);
    },
    async freeBytes() {
      const resources = await client.read<{ space?: { total?: number; used?: number } }>(
        `storage-pools/${pool}/resources`,
      );
      const { total = 0, used = 0 } = resources?.space ?? {};
      return total === 0 ? undefined : total - used;
    },
    live: () => places().live,
    setAside: () => places().aside,
    async isInPlace() {
      const device = await inUse();
      if (device === undefined) return true;
      return device['source'] === (await recallLive(client, layout, file)) && (await isSeen(device));
    },
    list: async () => await listVolumes(client, layout),
    copy,
    remove,
    async use(name, mark) {
      const { live, aside } = places();
      // First it is written down: whoever comes after a kill knows what is meant to be there.
      if (live !== name) write({ live: name, aside: [...aside, { volume: live, mark }] });
      const device = await inUse();
      if (device) await seat({ ...device, source: name });
    },
    async withCopyAt(name, path, work) {
      // What a kill left there.
      await attach(copyDevice, undefined);
      const scratch = await copy(name, 'copy');
      try {
        await attach(copyDevice, { type: 'disk', pool, source: scratch, path });
        return await work();
      } finally {
        await attach(copyDevice, undefined);
        await remove(scratch);
      }
    },
  };
}
