import { existsSync, realpathSync } from 'node:fs';
import { Refusal } from '../../lib/errors.ts';
import type { Instance, LxdClient } from './client.ts';
import type { Layout } from './layout.ts';

/** In the configuration of each container: the checkout that it was made for. */
export const ownerKey = 'user.holdfast';

/**
 * Two checkouts of one appliance on one machine have the same names: the second must not take the first one's containers.
 *
 * @throws Refusal where a container was made for another checkout that is there
 */
export async function verifyOurs(client: LxdClient, layout: Layout, directory: string): Promise<void> {
  for (const name of Object.values(layout.containers)) {
    const owner = (await client.read<Instance>(`instances/${name}`))?.config[ownerKey];
    // One that is gone was moved here, or thrown away.
    if (owner === undefined || !existsSync(owner) || realpathSync(owner) === realpathSync(directory))
      continue;
    throw new Refusal(
      `cannot go on: the container ${name} belongs to the appliance in ${owner}`,
      'give one of the two another name in appliance.yaml',
    );
  }
}
