import { messageOf, Refusal } from '../../lib/errors.ts';
import { formatBytes, plural } from '../../lib/units.ts';
import type { Glance, Place } from '../runtime.ts';
import type { Instance, LxdClient } from './client.ts';
import { addressOf, type Layout } from './layout.ts';
import { askContainer } from './whole-output.ts';
import { isUp, readNetwork, whyUnreachable } from './network.ts';

/*
 * What an update needs of the containers, looked at while the appliance serves. Their clock needs no look: it is the
 * kernel's, and the same for this machine and all of them.
 */

interface Looking {
  readonly client: LxdClient;
  readonly layout: Layout;
  readonly places: readonly Place[];
}

/**
 * @returns a remark on what was found
 * @throws Refusal with the fix, where something is not there, does not run, has no room, or does not fit
 */
export async function verifyContainers({ client, layout, places }: Looking): Promise<string> {
  const version = await verifyServer(client);
  for (const place of places) {
    const name = layout.containers[place];
    verifyRunning(name, await client.read<Instance>(`instances/${name}`));
  }
  const { network } = layout;
  const gateway = await verifyNetwork(client, network);
  for (const place of places)
    await verifyInside(client, layout.containers[place], { place, network, gateway });
  const freeBytes = await verifyRoom(client, layout.pool);
  const room = freeBytes === undefined ? '' : `, ${formatBytes(freeBytes)} free in the pool ${layout.pool}`;
  return `${plural(places.length, 'container')} running (${version})${room}`;
}

/** What it is made for: networks and volumes of projects, as LXD 5 and every Incus have them. */
const oldest = 5;

async function verifyServer(client: LxdClient): Promise<string> {
  const { environment } =
    (await client.read<{ environment?: { server?: string; server_version?: string } }>('')) ?? {};
  const { server = 'lxd', server_version: version = '' } = environment ?? {};
  const name = server === 'incus' ? 'Incus' : 'LXD';
  const major = Number.parseInt(version, 10);
  if (name === 'LXD' && major < oldest)
    throw new Refusal(
      `cannot go on: LXD ${version} answers, and ${oldest}.0 is the oldest that this works with`,
      'update LXD (its notes say how to go from one to the next), or use Incus',
    );
  return `${name} ${version}`.trim();
}

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

/** @returns the network's own address */
async function verifyNetwork(client: LxdClient, name: string): Promise<string> {
  const network = await readNetwork(client, name);
  if (!(await isUp(client, network)))
    throw new Refusal(
      `cannot go on: the bridge ${name} is gone, though its network is there`,
      './run.sh start makes it anew',
    );
  return network.config['ipv4.address'] ?? '';
}

/** @throws Refusal where others cannot reach a container, or systemd, the disk or the database's programs in it are not as they must be */
async function verifyInside(
  client: LxdClient,
  name: string,
  { place, network, gateway }: { place: Place; network: string; gateway: string },
): Promise<void> {
  const address = addressOf(place, gateway);
  const lost = await whyUnreachable(client, name, { network, address });
  if (lost !== undefined)
    throw new Refusal(
      `cannot go on: nobody reaches the container ${name} in the network ${network}: ${lost}`,
      './run.sh setup puts its network device right',
    );
  const facts = await look(client, name, place);
  const { system = 'no answer' } = facts;
  if (!['running', 'degraded', 'starting'].includes(system))
    throw new Refusal(
      `cannot go on: systemd of the container ${name} is not at work (${system})`,
      `${client.program} restart ${name}, then ./run.sh start`,
    );
  if (facts.full !== undefined)
    throw new Refusal(
      `cannot go on: the container ${name} cannot write to ${facts.full}`,
      `./run.sh exec ${place} -- df -h shows what there is; ${client.program} config device set ${name} root size 20GiB gives it more, where it has a limit`,
    );
  if (facts.cluster !== undefined && !facts.servers.includes(facts.cluster))
    throw new Refusal(
      `cannot go on: the database is of PostgreSQL ${facts.cluster}, and the container ${name} has ${facts.servers.join(', ') || 'none'}`,
      `./run.sh exec ${place} -- apt-get install -y postgresql-${facts.cluster}`,
    );
}

/** Folders that have to be writable. Each line that it prints is a fact. */
const looking = `echo "system $(systemctl is-system-running 2>/dev/null)"
writes() {
  file=$(mktemp -p "$1" .holdfast-XXXXXX) || return
  head -c 1048576 /dev/zero >"$file" && sync "$file"
  code=$?
  rm -f "$file"
  return $code
}
for folder in "$@"; do
  why=$(writes "$folder" 2>&1) || echo "full $folder: $why"
done
for file in /var/lib/postgresql/holdfast/PG_VERSION; do [ ! -e "$file" ] || echo "cluster $(cat "$file")"; done
for bin in /usr/lib/postgresql/*/bin/postgres; do [ ! -x "$bin" ] || echo "server $(basename "\${bin%/bin/postgres}")"; done`;

async function look(client: LxdClient, name: string, place: Place) {
  const folders = ['/var/tmp', ...(place === 'postgres' ? ['/var/lib/postgresql'] : [])];
  const { stdout } = await askContainer(client, name, ['/bin/sh', '-c', looking, 'sh', ...folders], {
    label: `look at ${name}`,
  });
  const all = (key: string) =>
    stdout.split('\n').flatMap((line) => (line.startsWith(`${key} `) ? [line.slice(key.length + 1)] : []));
  return {
    system: all('system')[0],
    full: all('full')[0],
    cluster: all('cluster')[0],
    servers: all('server'),
  };
}

/** What a window needs beside what it is for: logs, temporary files, and the room that is set aside for a restore. */
const marginBytes = 512 * 1024 * 1024;

/**
 * @returns how much is left; undefined for a pool that does not tell
 * @throws Refusal where the pool is nearly full: containers and the database write there, whatever room this machine has
 */
export async function verifyRoom(client: LxdClient, pool: string): Promise<number | undefined> {
  const resources = await client.read<{ space?: { total?: number; used?: number } }>(
    `storage-pools/${pool}/resources`,
  );
  const { total = 0, used = 0 } = resources?.space ?? {};
  if (total === 0) return undefined;
  if (total - used >= marginBytes) return total - used;
  throw new Refusal(
    `cannot go on: the storage pool ${pool} has ${formatBytes(total - used)} left, and ${formatBytes(marginBytes)} are needed`,
    `${client.program} storage info ${pool} shows it; docs/OPERATING.md says how it becomes bigger`,
  );
}

/** @see Runtime.glance */
export async function glanceAtContainers({ client, layout, places }: Looking): Promise<Glance> {
  try {
    for (const place of places) {
      const name = layout.containers[place];
      verifyRunning(name, await client.read<Instance>(`instances/${name}`));
    }
    await verifyNetwork(client, layout.network);
    return { ok: true, text: `${places.length} running` };
  } catch (error) {
    const text = messageOf(error).replace(/^cannot go on: /, '');
    return { ok: false, text, next: error instanceof Refusal ? error.next : undefined };
  }
}
