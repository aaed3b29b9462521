import type { Place } from '../runtime.ts';
import type { LxdClient } from './client.ts';
import type { Layout } from './layout.ts';
import { listVolumes } from './volumes.ts';

/** Takes a container away; what lies on devices of its own stays. May be run twice. */
export async function removeContainer(client: LxdClient, name: string): Promise<void> {
  if (!(await client.read(`instances/${name}`))) return;
  await client.machine.run({ ...client.command(['delete', '--force', name]), timeoutMs: 120_000 });
}

/** What there is of an appliance, for people: containers, the volume, the network. */
export async function findRemains(client: LxdClient, layout: Layout): Promise<string[]> {
  const { containers, network } = layout;
  const there: string[] = [];
  for (const name of Object.values(containers))
    if (await client.read(`instances/${name}`)) there.push(`the container ${name}`);
  for (const volume of await listVolumes(client, layout)) there.push(`the volume ${volume}`);
  if (await client.read(`networks/${network}`)) there.push(`the network ${network}`);
  return there;
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
    const name = layout.containers[place];
    if (!(await client.read(`instances/${name}`))) continue;
    say(`removing the container ${name}`);
    await removeContainer(client, name);
  }
  for (const volume of await listVolumes(client, layout)) {
    say(`removing the volume ${volume}`);
    await client.change('DELETE', `storage-pools/${layout.pool}/volumes/custom/${volume}`);
  }
  const network = await client.read<{ used_by?: string[] }>(`networks/${layout.network}`);
  if (network && (network.used_by ?? []).length === 0) {
    say(`removing the network ${layout.network}`);
    await client.change('DELETE', `networks/${layout.network}`);
  }
}
