import type { Appliance } from '../appliance/appliance.ts';
import { exitCodes, Refusal, UsageError } from '../lib/errors.ts';
import type { Register } from '../main.ts';
import { attach } from '../runtime/lxd/attach.ts';
import { LxdClient } from '../runtime/lxd/client.ts';
import { layoutOf, type Layout } from '../runtime/lxd/layout.ts';
import { destroyContainers, removeContainer } from '../runtime/lxd/teardown.ts';
import type { Place } from '../runtime/runtime.ts';
import { stopServices } from '../appliance/services.ts';
import { locked } from './locked.ts';
import type { Session } from './session.ts';

const places: readonly Place[] = ['postgres', 'backend', 'frontend'];

export const registerContainers: Register = (program, act) => {
  program
    .command('shell')
    .argument('[container]', 'postgres, backend or frontend', 'backend')
    .description('a shell in a container, as its root')
    .action(act(async (session, name: string) => await inside(session, name, ['/bin/bash', '-l'])));
  program
    .command('exec')
    .argument('<container>', 'postgres, backend or frontend')
    .argument('<command...>', 'behind --')
    .description('a command in a container')
    .action(act(async (session, name: string, command: string[]) => await inside(session, name, command)));
  program
    .command('redo')
    .argument('<container>', 'postgres, backend or frontend')
    .description('makes a container anew, from its image; data, code and backups are kept')
    .action(act(async (session, name: string) => await redo(session, name)));
  program
    .command('destroy')
    .description('takes the containers and the database away, once the name is typed; the backups are kept')
    .action(act(async (session) => await destroy(session)));
};

interface Containers {
  readonly client: LxdClient;
  readonly layout: Layout;
}

/** @throws Refusal for an appliance that is in none */
function containersOf({ config, runtime }: Pick<Appliance, 'config' | 'runtime'>): Containers {
  if (config.runtime !== 'lxd')
    throw new Refusal('this appliance is not in containers (runtime: local in appliance.yaml)');
  return {
    client: new LxdClient(runtime, config.lxd.client, config.lxd.project),
    layout: layoutOf(config.name, config.lxd),
  };
}

function placeOf(name: string): Place {
  const place = places.find((one) => one === name);
  if (place === undefined)
    throw new UsageError(`there is no container "${name}"`, `name one of ${places.join(', ')}`);
  return place;
}

async function inside(session: Session, name: string, argv: readonly string[]): Promise<number> {
  const appliance = session.open();
  const { client, layout } = containersOf(appliance);
  const place = placeOf(name);
  return await attach(client, layout.containers[place], {
    argv,
    cwd: place === 'postgres' ? '/' : appliance.directory,
  });
}

async function redo(session: Session, name: string): Promise<number> {
  const place = placeOf(name);
  return await locked(session, 'redo', async ({ appliance }) => {
    const { client, layout } = containersOf(appliance);
    await stopServices(appliance, appliance.config, (line) => session.ui.say(line));
    if (place === 'postgres') await appliance.database?.stop();
    session.ui.say(`removing the container ${layout.containers[place]}`);
    await removeContainer(client, layout.containers[place]);
    await appliance.runtime.setUp((line) => session.ui.say(line));
    session.ui.result(
      {
        type: 'result',
        ok: true,
        exitCode: exitCodes.ok,
        command: 'redo',
        container: layout.containers[place],
      },
      `The container ${layout.containers[place]} is new. The services are stopped.\n  Next: ./run.sh start`,
    );
    return exitCodes.ok;
  });
}

async function destroy(session: Session): Promise<number> {
  return await locked(session, 'destroy', async ({ appliance }) => {
    const { client, layout } = containersOf(appliance);
    const { name } = appliance.config;
    const answer = await session.ui.ask(
      `The containers of ${name} go, and its database with all rows. The backups in ${appliance.backupsDirectory} stay.\nType ${name} to go on: `,
    );
    if (answer !== name)
      throw new Refusal(
        answer === undefined
          ? 'cannot destroy: nobody is there to type the name'
          : 'the answer was another one. Nothing was changed',
      );
    await destroyContainers(client, layout, (line) => session.ui.say(line));
    session.ui.result(
      { type: 'result', ok: true, exitCode: exitCodes.ok, command: 'destroy' },
      `Gone. The backups are in ${appliance.backupsDirectory}.\n  Next: ./run.sh setup, then ./run.sh rollback brings one back`,
    );
    return exitCodes.ok;
  });
}
