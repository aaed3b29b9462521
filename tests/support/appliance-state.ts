import { createHash } from 'node:crypto';
import { existsSync, globSync, lstatSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import type { Appliance } from '../../orchestrator/appliance/appliance.ts';
import { ask } from '../../orchestrator/appliance/http.ts';
import { serviceHandle } from '../../orchestrator/appliance/services.ts';
import { productPaths } from '../../orchestrator/snapshot/products.ts';
import { registryPath } from '../../orchestrator/snapshot/registry.ts';
import { placesOf } from '../../orchestrator/database/sqlite/places.ts';
import { captureDatabase } from './database-state.ts';
import type { Sandbox } from './sandbox.ts';
import { captureSqlite } from './sqlite-state.ts';
import { joinStates, type State } from './state.ts';
import { captureProduct, captureTree } from './tree-state.ts';

/**
 * A whole appliance: tree, products, git, database, registry, what runs and what it answers. `differences` of two of
 * these is empty if, and only if, everything is exactly as before.
 */
export async function captureAppliance(
  appliance: Appliance,
  sandbox: Sandbox,
  adminUrl: string | undefined,
): Promise<State> {
  const { directory } = appliance;
  const products = productPaths(appliance.config);
  const { database } = appliance.config;
  const file = database !== 'none' && 'file' in database ? database.file : undefined;
  return joinStates(
    withoutTimeOf(
      file && dirname(file),
      await captureTree(directory, [
        '.git',
        '.holdfast',
        'backups',
        ...products,
        ...(file ? placesOf(file) : []),
      ]),
    ),
    file === undefined ? new Map<string, never>() : captureSqlite(join(directory, file)),
    ...(await captureOutsideData(appliance)),
    ...products.map((product) => captureProduct(directory, product)),
    await captureGit(sandbox),
    adminUrl === undefined ? new Map<string, never>() : await captureDatabase(adminUrl),
    captureRegistry(appliance),
    await captureServices(appliance),
  );
}

/** SQLite makes and removes files beside a database whenever somebody opens it. */
function withoutTimeOf(folder: string | undefined, state: State): State {
  return new Map(
    [...state].map(([name, properties]) => {
      const { modified: _, ...rest } = properties;
      return [name, name === `directory ${folder}` ? rest : properties];
    }),
  );
}

/** Data that lie elsewhere, or behind a symbolic link. */
async function captureOutsideData({ directory, config }: Appliance): Promise<State[]> {
  const states: State[] = [];
  for (const { path } of config.data) {
    const full = resolve(directory, path);
    const real = existsSync(full) ? realpathSync(full) : full;
    const inside = relative(directory, real);
    if (inside.startsWith('..') || isAbsolute(inside)) states.push(await captureTree(real, [], `${path}: `));
  }
  return states;
}

/** Where the checkout of a sandbox stands, by git's own word, and what lies in its git folder. */
export async function captureGit(sandbox: Sandbox): Promise<State> {
  const git = async (...args: string[]) =>
    await sandbox.git(sandbox.directory, '--no-optional-locks', '-c', 'core.quotePath=false', ...args);
  const [folder, common] = (await git('rev-parse', '--absolute-git-dir', '--git-common-dir'))
    .split('\n')
    .map((path) => resolve(sandbox.directory, path)) as [string, string];
  const read = (name: string) => readFileSync(join(existsSync(join(folder, name)) ? folder : common, name));
  const digest = (...names: string[]) =>
    createHash('sha256')
      .update(Buffer.concat(names.map(read)))
      .digest('hex')
      .slice(0, 16);
  // Holdfast's own refs pin the commits of snapshots, and what was fetched: an update that failed leaves more of them.
  const refs = await git('for-each-ref', '--format=%(refname) %(objectname) %(symref)');
  const others = globSync(['hooks/*', 'info/*', 'shallow'], { cwd: common }).toSorted();
  return new Map([
    [
      'git',
      {
        commit: await git('rev-parse', 'HEAD'),
        head: read('HEAD').toString(),
        status: await git('status', '--porcelain', '--ignored'),
        refs: refs
          .split('\n')
          .filter((line) => !line.startsWith('refs/holdfast/'))
          .join('\n'),
        config: read('config').toString(),
        index: digest('index'),
        others: others.map((name) => `${name} ${digest(name)}`).join('\n'),
        locks: globSync(['*.lock', 'refs/**/*.lock'], { cwd: folder }).join(' ') || 'none',
      },
    ],
  ]);
}

function captureRegistry({ config, directory }: Appliance): State {
  const inside = registryPath(config);
  if (inside === undefined) return new Map();
  const path = join(directory, inside);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  const content = stat?.isFile() ? readFileSync(path, 'utf8') : stat ? 'no file' : 'absent';
  return new Map([['registry', { content }]]);
}

async function captureServices(appliance: Appliance): Promise<State> {
  const state = new Map<string, Record<string, string>>();
  for (const [name, service] of Object.entries(appliance.config.services)) {
    const routes = name === 'api' ? ['/health', '/version', '/entries'] : ['/'];
    const answers: Record<string, string> = {};
    for (const route of routes) answers[route] = await answerOf(service.port ?? 0, route);
    const { running } = await appliance.runtime.serviceState(serviceHandle(appliance, name));
    state.set(`service ${name}`, { running: running ? 'yes' : 'no', ...answers });
  }
  return state;
}

async function answerOf(port: number, route: string): Promise<string> {
  try {
    const { status, body } = await ask(`http://127.0.0.1:${port}${route}`, { timeoutMs: 5000 });
    return `${status} ${body}`;
  } catch (error) {
    return `no answer: ${String(error)}`;
  }
}
