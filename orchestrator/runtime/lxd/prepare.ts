import { readFileSync } from 'node:fs';
import { messageOf, Refusal } from '../../lib/errors.ts';
import { waitFor } from '../../lib/wait.ts';
import { CommandError, type Place } from '../runtime.ts';
import type { Instance, LxdClient } from './client.ts';
import { readContainer } from './definitions.ts';
import { addressOf, type Layout } from './layout.ts';
import { isUp, raise, readNetwork, whyUnreachable } from './network.ts';

interface Preparing {
  readonly client: LxdClient;
  readonly layout: Layout;
  readonly places: readonly Place[];
  /** Where the definitions lie. */
  readonly definitions: string;
}

/**
 * Has the containers run, in their network: after a reboot, or when somebody stopped them, took the bridge away or a
 * container's device.
 *
 * @throws Refusal where one is not there. May be run twice
 */
export async function prepareContainers(preparing: Preparing): Promise<void> {
  const { client, layout, places } = preparing;
  const network = await readNetwork(client, layout.network);
  if (!(await isUp(client, network))) await raise(client, network);
  const started: string[] = [];
  for (const place of places) {
    const name = layout.containers[place];
    const gateway = network.config['ipv4.address'] ?? '';
    const address = addressOf(place, gateway);
    await ensureNetworkDevice(preparing, place, gateway);
    if (await patiently(async () => await ensureUp(client, name, { network: network.name, address })))
      started.push(name);
  }
  await untilBooted(client, started);
}

/** What is there under its name stays, whatever it is: only `setup` puts that right. */
async function ensureNetworkDevice(
  { client, layout, definitions }: Preparing,
  place: Place,
  gateway: string,
): Promise<void> {
  const path = `instances/${layout.containers[place]}`;
  const there = await client.read<Instance>(path);
  if (!there) return;
  const { devices = {} } = readContainer(definitions, place, layout, gateway);
  const missing = Object.entries(devices).filter(
    ([name, { type }]) => type === 'nic' && there.devices[name] === undefined,
  );
  if (missing.length === 0) return;
  const all = { ...there.devices, ...Object.fromEntries(missing) };
  await client.change('PUT', path, { ...there, devices: all });
}

/** How long somebody may be busy starting or stopping the same container: LXD refuses whoever comes second, in many words. */
const patienceMs = 30_000;

async function patiently<T>(work: () => Promise<T>): Promise<T> {
  let last: unknown;
  const attempt = async () => {
    try {
      return { done: await work() };
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      last = error;
      return undefined;
    }
  };
  const found = await waitFor(attempt, { timeoutMs: patienceMs, everyMs: 1000 });
  if (found === undefined) throw last;
  return found.done;
}

/** @returns whether it had to be started, or to go on */
async function ensureUp(
  client: LxdClient,
  name: string,
  at: { readonly network: string; readonly address: string },
): Promise<boolean> {
  const status = (await client.read<Instance>(`instances/${name}`))?.status;
  if (status === undefined)
    throw new Refusal(
      `the container ${name} is not there`,
      './run.sh setup makes it anew; the data are kept',
    );
  const change = async (action: 'start' | 'stop' | 'unfreeze') => {
    await client.change('PUT', `instances/${name}/state`, { action, timeout: 60 });
  };
  if (status === 'Running') {
    if ((await whyUnreachable(client, name, at)) === undefined) return false;
    await stop(client, name);
    await change('start');
  } else await change(status === 'Frozen' ? 'unfreeze' : 'start');
  return true;
}

/** Until systemd inside answers, and has an address. */
export async function untilBooted(client: LxdClient, containers: readonly string[]): Promise<void> {
  const hasRoute = '[ -n "$(ip -4 route show default)" ]';
  const script = `for i in $(seq 600); do
  case "$(systemctl is-system-running 2>/dev/null)" in running | degraded) ${hasRoute} && exit 0 ;; esac
  sleep 0.1
done
echo "it is not up after 60 s: $(systemctl is-system-running), waiting for $(systemctl list-jobs --no-legend --no-pager | head -n 3 | tr -s ' \\n' ' '), address $(ip -4 -o address show scope global)" >&2
exit 1`;
  for (const container of containers) {
    try {
      await client.machine.run({
        ...client.exec(container, ['/bin/sh', '-c', script]),
        label: `boot of ${container}`,
        timeoutMs: 150_000,
      });
    } catch (error) {
      if (!(error instanceof CommandError) || watchers() > 128) throw error;
      // All containers share one user of the kernel, and systemd in each takes eight of these.
      throw new Refusal(
        messageOf(error),
        'if there are a dozen containers on this machine: sudo sysctl -w fs.inotify.max_user_instances=1024 (and a file in /etc/sysctl.d), then try again',
        error,
      );
    }
  }
}

const watchers = () => Number(readFileSync('/proc/sys/fs/inotify/max_user_instances', 'utf8'));

/** What waits for a network that is gone does not end by itself. */
async function stop(client: LxdClient, name: string): Promise<void> {
  const path = `instances/${name}/state`;
  try {
    await client.change('PUT', path, { action: 'stop', timeout: 20 });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    await client.change('PUT', path, { action: 'stop', force: true });
  }
}

/**
 * Does something in a container, be it frozen: nobody can be ended in one that is, and all of it would go on once it is
 * not. It is left as it was found.
 */
export async function thawed(client: LxdClient, container: string, work: () => Promise<void>): Promise<void> {
  const path = `instances/${container}`;
  const isFrozen = (await client.read<Instance>(path))?.status === 'Frozen';
  const change = async (action: 'freeze' | 'unfreeze') => {
    if (isFrozen) await client.change('PUT', `${path}/state`, { action, timeout: 60 });
  };
  await change('unfreeze');
  try {
    await work();
  } finally {
    await change('freeze');
  }
}
