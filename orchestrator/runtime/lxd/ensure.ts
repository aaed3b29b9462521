import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf, Refusal } from '../../lib/errors.ts';
import { shellWord } from '../../lib/shell-word.ts';
import type { Place } from '../runtime.ts';
import type { Instance, LxdClient } from './client.ts';
import { readContainer, readDefinition, type Definition } from './definitions.ts';
import { chooseSubnet, type Layout } from './layout.ts';
import { isUp, raise, type Network } from './network.ts';
import { ownerKey } from './ownership.ts';

/*
 * What an appliance needs of LXD is made where it is missing, and put right where it is another than the definitions in
 * lxd/ say. What is right already is not touched: run twice, the second one changes nothing.
 */

interface Ensuring {
  readonly client: LxdClient;
  readonly layout: Layout;
  /** The checkout. */
  readonly directory: string;
  /** Where the definitions lie. */
  readonly definitions: string;
  /** Hears of each thing that is changed. */
  readonly say: (line: string) => void;
}

/** The pool: somebody else's as it is, or one of ours, with copies that cost nothing where this machine has such. */
export async function ensurePool({ client, layout, definitions, say }: Ensuring): Promise<void> {
  const { pool, poolSize } = layout;
  if (await client.read(`storage-pools/${pool}`)) return;
  const drivers = (await client.read<{ environment: { storage_supported_drivers: { Name: string }[] } }>(''))
    ?.environment.storage_supported_drivers;
  const hasBtrfs =
    drivers?.some(({ Name }) => Name === 'btrfs') === true &&
    readFileSync('/proc/filesystems', 'utf8').includes('btrfs');
  const driver = hasBtrfs ? 'btrfs' : 'dir';
  const { config, ...definition } = readDefinition(definitions, 'storage', { driver, size: poolSize });
  say(
    `making the storage pool ${pool} (${driver === 'btrfs' ? `btrfs, at most ${poolSize}` : 'plain folders: copies of the database take their time'})`,
  );
  await client.change('POST', 'storage-pools', {
    name: pool,
    ...definition,
    // A pool of plain folders has no size of its own.
    config: driver === 'dir' ? {} : config,
  });
}

/** @returns the network's own address, such as 10.83.0.1/24 */
export async function ensureNetwork({ client, layout, definitions, say }: Ensuring): Promise<string> {
  const { network, appliance } = layout;
  const read = async () => await client.read<Network>(`networks/${network}`);
  let there = await read();
  if (!there) {
    const { stdout } = await client.machine.run({ file: 'ip', args: ['-4', 'route'] });
    const subnet = chooseSubnet(appliance, stdout);
    say(`making the network ${network} (${subnet}.0/24)`);
    await client.change('POST', 'networks', {
      name: network,
      ...readDefinition(definitions, 'network', { appliance, subnet }),
    });
    there = await read();
  } else if (!(await isUp(client, there))) {
    say(`making the bridge of the network ${network} anew`);
    await raise(client, there);
  }
  const address = there?.config['ipv4.address'];
  if (address === undefined || !/^\d+\.\d+\.\d+\.\d+\/24$/.test(address))
    throw new Refusal(
      `cannot use the network ${network}: its address is ${address ?? 'not known'}, and has to be one such as 10.83.0.1/24`,
      `${client.program} network set ${network} ipv4.address 10.83.0.1/24, or name another network under lxd.network in appliance.yaml`,
    );
  return address;
}

/** The volume that the database's data lie on. */
export async function ensureVolume({ client, layout, definitions, say }: Ensuring): Promise<void> {
  const { pool, volume, appliance } = layout;
  if (await client.read(`storage-pools/${pool}/volumes/custom/${volume}`)) return;
  say(`making the volume ${volume}`);
  await client.change('POST', `storage-pools/${pool}/volumes/custom`, {
    name: volume,
    ...readDefinition(definitions, 'volume', { appliance }),
  });
}

/**
 * One container, running, as its definition says, with these folders of this machine mounted at the same paths. Owners are
 * the same inside and outside: by LXD's own shifting where the kernel and LXD agree about it, else by LXC's.
 *
 * @param image its fingerprint
 */
export async function ensureContainer(
  ensuring: Ensuring,
  place: Place,
  { image, gateway, mounts }: { image: string; gateway: string; mounts: readonly Mount[] },
): Promise<void> {
  const { client, layout, directory, definitions, say } = ensuring;
  const { containers } = layout;
  const name = containers[place];
  const path = `instances/${name}`;
  const read = async () => await client.read<Instance>(path);
  const own = readContainer(definitions, place, layout, gateway);
  const put = async (by: Mounting) => {
    const there = await read();
    const { lines, devices } = mounted(mounts, by);
    const raw = [...linesOf(there).filter((line) => !isOurs(line)), ...lines];
    const config = raw.length === 0 ? {} : { 'raw.lxc': raw.join('\n') };
    const wanted = {
      ...own,
      config: { ...own.config, ...config, [ownerKey]: directory },
      devices: { ...own.devices, ...devices },
    };
    if (!there) {
      say(`making the container ${name}`);
      const source = { type: 'image', fingerprint: image };
      await client.change('POST', 'instances', { name, ...wanted, profiles: [], source });
      return;
    }
    const differing = differences(there, wanted, mounts);
    if (differing.length === 0) return;
    say(`changing the container ${name}: ${differing.join(', ')}`);
    if (there.status === 'Running')
      await client.change('PUT', `${path}/state`, { action: 'stop', timeout: 60 });
    await client.change('PUT', path, merge(there, wanted));
  };
  const start = async () => {
    if ((await read())?.status === 'Running') return;
    say(`starting the container ${name}`);
    await client.change('PUT', `${path}/state`, { action: 'start', timeout: 60 });
  };
  // What this machine cannot do for one container it cannot do for another: each attempt costs a start.
  if (!(await isMountedByLxc(client, Object.values(containers)))) {
    try {
      await put('shift');
      await start();
      return;
    } catch (error) {
      if (!/idmap|shift/i.test(messageOf(error))) throw error;
      say(`LXD cannot shift the owners of folders on this machine: LXC does it for ${name}`);
    }
  }
  verifyWalkable(mounts);
  await put('lxc');
  await start();
}

async function isMountedByLxc(client: LxdClient, containers: readonly string[]): Promise<boolean> {
  for (const name of containers)
    if (linesOf(await client.read<Instance>(`instances/${name}`)).some(isOurs)) return true;
  return false;
}

/** LXC mounts as the container's own root, who is nobody here. */
function verifyWalkable(mounts: readonly Mount[]): void {
  for (const { source } of mounts.filter(({ isShared }) => isShared !== true))
    for (let folder = dirname(source); folder !== '/'; folder = dirname(folder))
      if ((statSync(folder).mode & 0o001) === 0)
        throw new Refusal(
          `cannot mount ${source} in a container: ${folder} is closed to others`,
          `chmod o+x ${shellWord(folder)}, or move the checkout to a place such as /srv`,
        );
}

/** A folder of this machine in a container, at the same path unless another is said. */
export interface Mount {
  readonly source: string;
  readonly target?: string;
  /** Open to everybody, whatever their numbers mean on the other side. */
  readonly isShared?: boolean;
}

type Mounting = 'shift' | 'lxc';

const mountPrefix = 'holdfast-mount-';

function mounted(
  mounts: readonly Mount[],
  by: Mounting,
): { lines: string[]; devices: Record<string, Record<string, string>> } {
  const isDevice = ({ isShared }: Mount) => by === 'shift' || isShared === true;
  const devices = mounts.filter(isDevice).map(({ source, target = source, isShared }, index) => [
    `${mountPrefix}${index}`,
    {
      ...{ type: 'disk', source, path: target },
      ...(isShared === true ? {} : { shift: 'true', recursive: 'true' }),
    },
  ]);
  const lines = mounts
    .filter((mount) => !isDevice(mount))
    .map(({ source, target = source }) => `${entry}${fstab(source)} ${fstab(target).slice(1)}${asItIs}`);
  return { lines, devices: Object.fromEntries(devices) as Record<string, Record<string, string>> };
}

const entry = 'lxc.mount.entry = ';
/** With what is mounted in it: without, the kernel refuses a folder in which something is. */
const asItIs = ' none rbind,create=dir,idmap=container 0 0';

/** What LXC is told directly: our mounts, and what an operator has put beside them. */
const linesOf = (there: Instance | undefined) =>
  (there?.config['raw.lxc'] ?? '').split('\n').filter((line) => line.trim() !== '');
const isOurs = (line: string) => line.startsWith(entry) && line.endsWith(asItIs);

/** fstab(5): what would end a field. */
const fstab = (path: string) =>
  path.replaceAll(/[\s\\]/g, (one) => `\\${one.charCodeAt(0).toString(8).padStart(3, '0')}`);

const isMount = (device: string) => device.startsWith(mountPrefix);

/** What is there and none of ours stays; mounts that are not wanted any more go. */
function merge(there: Instance, wanted: Definition): Instance {
  const { 'raw.lxc': _, ...config } = there.config;
  const devices = Object.entries(there.devices).filter(([name]) => !isMount(name));
  return {
    ...there,
    description: wanted.description,
    config: { ...config, ...wanted.config },
    devices: { ...Object.fromEntries(devices), ...wanted.devices },
  };
}

/** What a container has otherwise than it should; what it has beside that is its operator's. */
function differences(there: Instance, wanted: Definition, mounts: readonly Mount[]): string[] {
  const config = Object.entries(wanted.config).filter(
    ([key, value]) => (key === 'raw.lxc' ? linesOf(there).join('\n') : there.config[key]) !== value,
  );
  const devices = Object.entries(wanted.devices ?? {}).filter(
    ([key, value]) => JSON.stringify(sorted(there.devices[key])) !== JSON.stringify(sorted(value)),
  );
  const gone = Object.keys(there.devices).filter(
    (name) => isMount(name) && !(name in (wanted.devices ?? {})),
  );
  const found = [...config, ...devices].map(([key]) => (key === 'raw.lxc' ? `${mounts.length} mounts` : key));
  return [...found, ...gone];
}

const sorted = (device: Readonly<Record<string, string>> = {}) =>
  Object.entries(device).toSorted(([one], [other]) => one.localeCompare(other));
