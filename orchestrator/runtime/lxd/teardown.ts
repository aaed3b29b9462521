import type { Place } from '../runtime.ts';
import type { LxdClient } from './client.ts';
import type { Layout } from './layout.ts';

/** Takes a container away; what lies on devices of its own stays. May be run twice. */
export async function removeContainer(client: LxdClient, name: string): Promise<void> {
  if (!(await client.read(`instances/${name}`))) return;
  await client.machine.run({ ...client.command(['delete', '--force', name]), timeoutMs: 120_000 });
}

/**
 * Takes away everything of an appliance that `setup` made: containers, volume, network. The pool and the images may be
 * others' as well, and stay; so do the checkout, its files and its backups. May be run twice.
 */
export async function destroyContainers(
  client: LxdClient,
  layout: Layout,
  say: (line: string) => void,
): Promise<void> {
  for (const place of ['frontend', 'backend', 'postgres'] satisfies Place[]) {
    say(`removing the container ${layout.containers[place]}`);
    await removeContainer(client, layout.containers[place]);
  }
  const volume = `storage-pools/${layout.pool}/volumes/custom/${layout.volume}`;
  if (await client.read(volume)) {
    say(`removing the volume ${layout.volume}`);
    await client.change('DELETE', volume);
  }
  const network = await client.read<{ used_by?: string[] }>(`networks/${layout.network}`);
  if (network && (network.used_by ?? []).length === 0) {
    say(`removing the network ${layout.network}`);
    await client.change('DELETE', `networks/${layout.network}`);
  }
}
