import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';
import type { Program } from '../../appliance/appliance.ts';
import { StateDirectory } from '../../appliance/state.ts';
import type { Loaded } from '../../config/load.ts';
import { sharedSocketFolder } from '../../database/socket-folder.ts';
import type { Runtime } from '../runtime.ts';
import { LxdClient } from './client.ts';
import type { Mount } from './ensure.ts';
import { layoutOf } from './layout.ts';
import { lxdRuntime } from './runtime.ts';
import { setUpContainers } from './setup.ts';
import { readPlaces } from './volumes.ts';

/** Where the images have Node. */
const nodeInside = '/usr/local/bin/node';

/** The runtime of an appliance in containers. Touches nothing. */
export function openLxdRuntime(loaded: Loaded, machine: Runtime, program: Program): Runtime {
  const { config, stateDirectory } = loaded;
  const { lxd, name } = config;
  const client = new LxdClient(machine, lxd.client, lxd.project);
  const layout = layoutOf(name, lxd);
  const hasDatabase =
    config.database !== 'none' && 'embedded' in config.database && config.database.embedded === true;
  const user = serviceUser();
  const state = new StateDirectory(stateDirectory);
  const volumeFile = join(state.postgres, 'volume.json');
  return lxdRuntime(client, layout, {
    ...{
      serviceUser: String(user),
      unfinished: state.unfinished,
      listen: lxd.listen,
      node: nodeInside,
      hasDatabase,
      volumeFile,
    },
    setUp: async (say) => {
      for (const folder of [loaded.backupsDirectory, join(state.postgres, 'socket')])
        mkdirSync(folder, { recursive: true, mode: 0o700 });
      await setUpContainers({
        ...{
          client,
          layout: { ...layout, volume: readPlaces(volumeFile, layout).live },
          hasDatabase,
          say,
          node: program.node,
          definitions: join(program.runner, 'lxd'),
        },
        users: [...new Set([process.getuid?.() ?? 0, user])],
        mounts: mountsOf(loaded, state, program, hasDatabase),
      });
    },
  });
}

/** Services run as whoever works on the checkout, and as a user of their own where that is root. */
const serviceUser = () => process.getuid?.() || 1000;

function mountsOf(
  { config, directory, backupsDirectory }: Loaded,
  state: StateDirectory,
  program: Program,
  hasDatabase: boolean,
) {
  const socket = join(state.postgres, 'socket');
  const link: Mount[] = hasDatabase
    ? [{ source: socket, target: sharedSocketFolder(socket), isShared: true }]
    : [];
  const data = config.data.map(({ path }) => path).filter((path) => isAbsolute(path) && existsSync(path));
  const code = [...outermost([directory, state.path, program.runner, ...data]), ...link];
  return {
    backend: code,
    frontend: code,
    postgres: [...outermost([state.path, backupsDirectory]), ...link],
  };
}

/** Without those that lie in another one. */
function outermost(folders: readonly string[]): Mount[] {
  const real = [...new Set(folders)];
  const isIn = (one: string, other: string) => {
    const way = relative(other, one);
    return one !== other && !way.startsWith('..') && !isAbsolute(way);
  };
  return real
    .filter((one) => !real.some((other) => isIn(one, other)))
    .map((target) => ({ source: existsSync(target) ? realpathSync(target) : target, target }));
}
