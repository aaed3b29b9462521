import { lstatSync, realpathSync } from 'node:fs';
import { hasCode, Refusal } from '../../lib/errors.ts';
import { shellWord } from '../../lib/shell-word.ts';
import type { Runtime } from '../runtime.ts';
import type { Instance, LxdClient } from './client.ts';
import type { Layout } from './layout.ts';

/** In the configuration of each container: the checkout that it was made for. */
export const ownerKey = 'user.holdfast';

/**
 * The same machine, where the client of LXD is not started as long as a container is another checkout's: a copy of a
 * checkout, or a second one, has the same names, and must neither look into the first one's database nor stop it.
 *
 * @param asking the client by which it is found out whose they are
 * @returns a machine whose `run` throws a Refusal instead of starting the client
 */
export function onlyOurs(machine: Runtime, asking: LxdClient, layout: Layout, directory: string): Runtime {
  let areOurs = false;
  return {
    ...machine,
    run: async (command, options) => {
      if (!areOurs && command.file === asking.program) {
        await verifyProject(asking);
        await verifyOurs(asking, layout, directory);
        areOurs = true;
      }
      return await machine.run(command, options);
    },
  };
}

/** @throws Refusal where a container was made for another checkout that is there */
async function verifyOurs(asking: LxdClient, { containers }: Layout, directory: string): Promise<void> {
  const names = Object.values(containers);
  const found = await Promise.all(
    names.map(async (name) => await asking.read<Instance>(`instances/${name}`)),
  );
  found.forEach((instance, index) => {
    const owner = instance?.config[ownerKey];
    if (owner === undefined || isGone(owner) || isSame(owner, directory)) return;
    throw new Refusal(
      `cannot go on: the container ${names[index]} belongs to the appliance in ${owner}`,
      `work there: cd ${shellWord(owner)}. A second one on this machine needs a name of its own from its vendor`,
    );
  });
}

/** It was moved here, or thrown away. One that this user cannot look at is there for all we know. */
function isGone(owner: string): boolean {
  try {
    lstatSync(owner);
    return false;
  } catch (error) {
    return hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR');
  }
}

function isSame(one: string, other: string): boolean {
  try {
    return realpathSync(one) === realpathSync(other);
  } catch {
    return false;
  }
}

/** Without this everything in it would seem to be missing, and be made anew. */
async function verifyProject(asking: LxdClient): Promise<void> {
  const { project, program } = asking;
  // The default one is always there.
  if (project === 'default' || (await asking.read(`projects/${project}`))) return;
  throw new Refusal(
    `cannot go on: there is no project ${project} in LXD`,
    `${program} project create ${project}, or name another one under lxd.project in appliance.yaml`,
  );
}
