import { existsSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import type { Program } from '../../appliance/appliance.ts';
import { StateDirectory } from '../../appliance/state.ts';
import type { Loaded } from '../../config/load.ts';
import { Refusal } from '../../lib/errors.ts';
import { companionsOf, databaseFile } from '../../database/sqlite/places.ts';
import { sharedSocketFolder } from '../../database/socket-folder.ts';
import type { Runtime } from '../runtime.ts';
import { LxdClient } from './client.ts';
import { giveToServices } from './data-owner.ts';
import type { Mount } from './ensure.ts';
import { layoutOf } from './layout.ts';
import { onlyOurs } from './ownership.ts';
import { lxdRuntime } from './runtime.ts';
import { setUpContainers } from './setup.ts';
import { recallLive } from './volumes.ts';

/** Where the images have Node. */
const nodeInside = '/usr/local/bin/node';

/** The runtime of an appliance in containers. Touches nothing. */
export function openLxdRuntime(loaded: Loaded, machine: Runtime, program: Program): Runtime {
  const { config, stateDirectory } = loaded;
  const { lxd, name } = config;
  const layout = layoutOf(name, lxd);
  const asking = new LxdClient(machine, lxd.client, lxd.project);
  const ours = onlyOurs(machine, asking, layout, loaded.directory);
  const client = new LxdClient(ours, lxd.client, lxd.project);
  const hasDatabase =
    config.database !== 'none' && 'embedded' in config.database && config.database.embedded === true;
  const user = serviceUser(loaded.directory);
  const state = new StateDirectory(stateDirectory);
  const volumeFile = join(state.postgres, 'volume.json');
  const definitions = join(program.runner, 'lxd');
  return lxdRuntime(client, layout, {
    ...{
      serviceUser: String(user),
      unfinished: state.unfinished,
      listen: lxd.listen,
      node: nodeInside,
      hasDatabase,
      volumeFile,
      definitions,
      beforeStart: () => {
        giveToServices(writtenBy(loaded), user);
      },
    },
    setUp: async (say) => {
      verifyOperator(loaded);
      for (const folder of [loaded.backupsDirectory, join(state.postgres, 'socket')])
        mkdirSync(folder, { recursive: true, mode: 0o700 });
      await setUpContainers({
        ...{
          client,
          layout: hasDatabase ? { ...layout, volume: await recallLive(client, layout, volumeFile) } : layout,
          hasDatabase,
          say,
          node: program.node,
          definitions,
        },
        directory: loaded.directory,
        users: [...new Set([process.getuid?.() ?? 0, user])],
        mounts: mountsOf(loaded, state, program, hasDatabase),
      });
    },
  });
}

/** What root makes in the state of somebody else is closed to them, and the socket lies elsewhere. */
function verifyOperator({ stateDirectory }: Loaded): void {
  const owner = statSync(stateDirectory, { throwIfNoEntry: false })?.uid ?? 0;
  if (process.getuid?.() !== 0 || owner === 0) return;
  throw new Refusal(
    `cannot set up as root: ${stateDirectory} belongs to the user ${owner}, who could not work with it any more`,
    `do it as that user: sudo -u '#${owner}' ./run.sh setup`,
  );
}

/** Services run as whoever works on the checkout, or owns it; as a user of their own where that is root. */
function serviceUser(directory: string): number {
  const own = process.getuid?.() ?? 0;
  return own || (statSync(directory, { throwIfNoEntry: false })?.uid ?? 0) || 1000;
}

/** What services write to, as far as the configuration tells. */
function writtenBy({ config, directory }: Loaded): string[] {
  const { database } = config;
  const file = database !== 'none' && 'file' in database ? databaseFile(directory, database.file) : undefined;
  return [
    ...config.data.map(({ path }) => resolve(directory, path)).flatMap(realOf),
    ...(file === undefined ? [] : [file, ...companionsOf(file)]),
  ];
}

const realOf = (path: string) => (existsSync(path) ? [realpathSync(path)] : []);

function mountsOf(loaded: Loaded, state: StateDirectory, program: Program, hasDatabase: boolean) {
  const { directory, backupsDirectory } = loaded;
  const socket = join(state.postgres, 'socket');
  const link: Mount[] = hasDatabase
    ? [{ source: socket, target: sharedSocketFolder(socket), isShared: true }]
    : [];
  const code = [...outermost([directory, state.path, runnerOf(program), ...dataOf(loaded)]), ...link];
  return {
    backend: code,
    frontend: code,
    postgres: [...outermost([state.path, backupsDirectory]), ...link],
  };
}

/** Of a Holdfast with a checkout of its own all its versions: the folder around them is closed to others. */
function runnerOf({ home, runner }: Program): string {
  const state = join(home, '.holdfast');
  return isIn(runner, state) ? state : runner;
}

/** Data by the paths that they are named by, and where links among those lead to. */
function dataOf({ config: { data, database }, directory }: Loaded): string[] {
  const files = database !== 'none' && 'file' in database ? [dirname(database.file)] : [];
  return [...data.map(({ path }) => path), ...files]
    .map((path) => resolve(directory, path))
    .filter((path) => existsSync(path))
    .flatMap((path) => [path, realpathSync(path)]);
}

function isIn(one: string, other: string): boolean {
  const way = relative(other, one);
  return one !== other && !way.startsWith('..') && !isAbsolute(way);
}

/** Without those that lie in another one. */
function outermost(folders: readonly string[]): Mount[] {
  const all = [...new Set(folders)];
  return all
    .filter((one) => !all.some((other) => isIn(one, other)))
    .map((target) => ({ source: existsSync(target) ? realpathSync(target) : target, target }));
}
