import type { Appliance } from '../appliance/appliance.ts';
import { runningServices, stopServices } from '../appliance/services.ts';
import { exitCodes, messageOf } from '../lib/errors.ts';
import { openToAll, startAndVerify } from '../pipeline/starting.ts';
import { readOrigin } from '../pipeline/target.ts';
import type { Instance } from '../runtime/lxd/client.ts';
import { removeContainer } from '../runtime/lxd/teardown.ts';
import { containersOf, findPlace, type Containers } from './find-container.ts';
import { locked } from './locked.ts';
import type { Session } from './session.ts';

/**
 * Makes a container anew, from its image. What lies in it alone goes; data, code and backups lie elsewhere. What ran before
 * runs again at the end. Killed in the middle, it is simply run again, and `start` starts the rest.
 */
export async function redo(session: Session, name: string): Promise<number> {
  return await locked(session, 'redo', async ({ appliance }) => {
    const { ui } = session;
    const containers = containersOf(appliance, 'redo');
    const { place } = findPlace(appliance, name);
    const container = containers.layout.containers[place];
    const status = await thaw(containers, container);
    if (
      !(await ui.confirm(
        `The services stop, and the container ${container} is made anew: what was installed or changed in it by hand goes. Go on?`,
      ))
    ) {
      ui.result({ type: 'result', ok: true, exitCode: 0, outcome: 'declined' }, 'Nothing was changed.');
      return exitCodes.ok;
    }
    const ran = new Set(await runningServices(appliance, appliance.config));
    try {
      await stopServices(appliance, appliance.config, (line) => ui.say(line));
    } catch (error) {
      // One that cannot be changed any more, its disk being full, goes with what runs in it.
      if (place === 'postgres') throw error;
      ui.say(ui.paint.yellow(`! ${messageOf(error)}`));
    }
    if (place === 'postgres' && status === 'Running') await appliance.database?.stop();
    ui.say(`removing the container ${container}`);
    await removeContainer(containers.client, container);
    await appliance.runtime.setUp((line) => ui.say(line));
    await forgetNeighbours(containers);
    await startAgain(session, appliance, ran);
    ui.result(
      {
        ...{ type: 'result', ok: true, exitCode: exitCodes.ok, command: 'redo' },
        ...{ container, started: ran.size },
      },
      `The container ${container} is new. ${
        ran.size === 0
          ? 'No service ran before.\n  Next: ./run.sh start'
          : `${[...ran].join(', ')} ${ran.size === 1 ? 'runs' : 'run'} again.`
      }`,
    );
    return exitCodes.ok;
  });
}

/** A frozen one would be asked without end. @returns what became of it, undefined where it is not there */
async function thaw({ client }: Containers, container: string): Promise<string | undefined> {
  const path = `instances/${container}`;
  const status = (await client.read<Instance>(path))?.status;
  if (status !== 'Frozen') return status;
  await client.change('PUT', `${path}/state`, { action: 'unfreeze', timeout: 60 });
  return 'Running';
}

/** The new one has its address, and another card: the others would talk to the former one for half a minute. */
async function forgetNeighbours({ client, layout }: Containers): Promise<void> {
  for (const name of Object.values(layout.containers))
    if ((await client.read<Instance>(`instances/${name}`))?.status === 'Running')
      await client.machine.run(client.exec(name, ['ip', 'neigh', 'flush', 'dev', 'eth0']), {
        allowFailure: true,
      });
}

async function startAgain({ ui }: Session, appliance: Appliance, only: ReadonlySet<string>): Promise<void> {
  await openToAll(appliance);
  await startAndVerify(appliance, appliance.config, await readOrigin(appliance), {
    only,
    onOther: (message) => ui.say(ui.paint.yellow(`! ${message}`)),
  });
}
