import { messageOf, Refusal } from '../../lib/errors.ts';
import { hasCode } from '../../lib/errors.ts';
import type { LxdClient } from './client.ts';
import { ensureContainer, ensureNetwork, ensurePool, ensureVolume, type Mount } from './ensure.ts';
import { ensureImage } from './images.ts';
import type { Layout } from './layout.ts';

export interface Wanted {
  readonly client: LxdClient;
  readonly layout: Layout;
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
  await verifyDaemon(wanted);
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
}

/** @throws Refusal that says what to install, to start, or to join */
async function verifyDaemon({ client }: Wanted): Promise<void> {
  const { program } = client;
  try {
    await client.read('');
  } catch (error) {
    const said = messageOf(error);
    if (hasCode(error, 'ENOENT') || /did not start|ENOENT/.test(said))
      throw new Refusal(
        `cannot set up containers: there is no ${program} on this machine`,
        'sudo apt-get install -y lxd (or incus, and lxd.client: incus in appliance.yaml)',
        error,
      );
    // Incus has words of its own.
    if (/permission denied|needed permissions/i.test(said))
      throw new Refusal(
        `cannot set up containers: this user may not speak to the daemon of ${program}`,
        `sudo adduser "$USER" ${program.endsWith('incus') ? 'incus-admin' : 'lxd'}, then log in anew; or run it as root`,
        error,
      );
    throw new Refusal(
      `cannot set up containers: the daemon does not answer: ${said}`,
      `sudo systemctl start ${program.endsWith('incus') ? 'incus' : 'lxd'}`,
      error,
    );
  }
}

/** Until systemd inside answers, and has an address. */
export async function untilBooted(client: LxdClient, containers: readonly string[]): Promise<void> {
  const isUp = '[ -n "$(ip -4 route show default)" ]';
  const script = `for i in $(seq 300); do
  case "$(systemctl is-system-running 2>/dev/null)" in running | degraded) ${isUp} && exit 0 ;; esac
  sleep 0.1
done
echo "it is not up after 30 s: $(systemctl is-system-running), waiting for $(systemctl list-jobs --no-legend --no-pager | head -n 3 | tr -s ' \\n' ' '), address $(ip -4 -o address show scope global)" >&2
exit 1`;
  for (const container of containers)
    await client.machine.run({
      ...client.exec(container, ['/bin/sh', '-c', script]),
      label: `boot of ${container}`,
      timeoutMs: 90_000,
    });
}
