import type { Register } from '../main.ts';
import { attach } from '../runtime/lxd/attach.ts';
import type { Instance } from '../runtime/lxd/client.ts';
import { verifyRunning } from '../runtime/lxd/verify.ts';
import { destroy } from './destroy.ts';
import { containersOf, findPlace } from './find-container.ts';
import { redo } from './redo.ts';
import type { Session } from './session.ts';

const named = 'a service, or the container backend, frontend or postgres';

export const registerContainers: Register = (program, act) => {
  program
    .command('shell')
    .argument('[name]', named, 'backend')
    .description('a shell in the container of a service, as its root')
    .action(act(async (session, name: string) => await inside(session, 'shell', name, ['/bin/bash', '-l'])));
  program
    .command('exec')
    .argument('<name>', named)
    .argument('<command...>', 'behind --')
    .description('a command in the container of a service, as its root; ends with its exit code')
    .action(
      act(async (session, name: string, command: string[]) => await inside(session, 'exec', name, command)),
    );
  program
    .command('redo')
    .argument('<name>', named)
    .description('makes a container anew, from its image; data, code and backups are kept')
    .action(act(async (session, name: string) => await redo(session, name)));
  program
    .command('destroy')
    .description('takes the containers and the database away, once the name is typed; the backups are kept')
    .action(act(async (session) => await destroy(session)));
};

async function inside(
  session: Session,
  verb: string,
  name: string,
  argv: readonly string[],
): Promise<number> {
  const appliance = session.open();
  const { client, layout } = containersOf(appliance, verb);
  const { place, cwd } = findPlace(appliance, name);
  const container = layout.containers[place];
  // The client would wait for a frozen one without end.
  verifyRunning(container, await client.read<Instance>(`instances/${container}`));
  return await attach(client, container, { argv, cwd });
}
