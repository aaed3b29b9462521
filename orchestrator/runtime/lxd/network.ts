import { Refusal } from '../../lib/errors.ts';
import type { LxdClient } from './client.ts';

/*
 * The network as it is, and not as it is configured: somebody may have taken away the bridge (`ip link delete`, a firewall's
 * script), and its containers still have their addresses, and reach nobody.
 */

export interface Network {
  readonly name: string;
  readonly type: string;
  readonly managed: boolean;
  readonly config: Readonly<Record<string, string>>;
}

interface NetworkState {
  readonly bridge?: { readonly upper_devices?: readonly string[] | null } | null;
}

interface InstanceState {
  readonly network?: Readonly<
    Record<
      string,
      {
        readonly host_name?: string;
        readonly addresses?: readonly { readonly family: string; readonly address: string }[];
      }
    >
  > | null;
}

/** @throws Refusal where the network is not there */
export async function readNetwork(client: LxdClient, name: string): Promise<Network> {
  const network = await client.read<Network>(`networks/${name}`);
  if (network?.config['ipv4.address'] === undefined)
    throw new Refusal(`the network ${name} is not there`, './run.sh setup makes it anew');
  return network;
}

/** Whether the bridge of this network is there. Of others than bridges we know nothing. */
export async function isUp(client: LxdClient, { name, type, managed }: Network): Promise<boolean> {
  return !managed || type !== 'bridge' || (await client.read(`networks/${name}/state`)) !== undefined;
}

/** Has the daemon make the bridge of a network anew. Containers reach it once they are started again. */
export async function raise(client: LxdClient, network: Network): Promise<void> {
  const nat = network.config['ipv4.nat'] === 'true' ? 'false' : 'true';
  const path = `networks/${network.name}`;
  // A bridge is made where a setting of it changes, and at the daemon's own start.
  await client.change('PUT', path, { ...network, config: { ...network.config, 'ipv4.nat': nat } });
  await client.change('PUT', path, network);
}

/** @returns what a running container lacks to be reached at this address; undefined where it lacks nothing */
export async function whyUnreachable(
  client: LxdClient,
  container: string,
  { network, address }: { network: string; address: string },
): Promise<string | undefined> {
  const state = await client.read<InstanceState>(`instances/${container}/state`);
  if (!state) return undefined;
  const found = Object.values(state.network ?? {}).find(({ addresses }) =>
    addresses?.some((one) => one.family === 'inet' && one.address === address),
  );
  if (!found) return `it has not the address ${address}`;
  const { bridge } = (await client.read<NetworkState>(`networks/${network}/state`)) ?? {};
  if (!bridge || found.host_name === undefined) return undefined;
  return bridge.upper_devices?.includes(found.host_name) === true ? undefined : 'it hangs on no bridge';
}
