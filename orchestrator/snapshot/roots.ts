import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join, matchesGlob, relative, resolve } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import type { Config } from '../config/schema.ts';
import { databaseFile, placesOf } from '../database/sqlite/places.ts';
import { canRenameBetween, mountPointsBelow } from '../lib/mounts.ts';
import { removeTree } from '../lib/remove-tree.ts';
import type { Root } from './inventory.ts';
import type { SnapshotRoot } from './manifest.ts';
import { setTime } from '../tools/touch.ts';
import { productPaths } from './products.ts';

/** Where a restore works inside a root that lies on a mount of its own. Never part of a snapshot. */
const workPattern = '.holdfast-restore-*';
export const workFolder = (path: string, runId: string) => join(path, workPattern.replace('*', runId));

interface NamedRoot {
  readonly name: string;
  readonly root: Root;
}

/**
 * The trees that a snapshot of this configuration holds: the checkout, then every data path outside it, and every
 * mount inside these. Each lies on one mount, so that a restore can rename inside it.
 */
export function describeRoots(appliance: Appliance, config: Config): NamedRoot[] {
  const { directory } = appliance;
  const ownInside = (root: string) =>
    [appliance.state.path, appliance.backupsDirectory, ...databasePlaces(directory, config)].flatMap(
      (path) => insideOf(root, path) ?? [],
    );
  const exclude = ['.git', ...productPaths(config), ...config.exclude, ...ownInside(directory)];
  // The link that run.sh keeps to Holdfast's own dependencies belongs to Holdfast, not to the appliance.
  if (appliance.program.home === directory) exclude.push('node_modules');
  const patterns: string[] = [workPattern];
  const outside: Root[] = [];
  for (const { path, exclude: without } of config.data) {
    const { real, inside } = locate(directory, path);
    if (inside !== undefined && (!existsSync(real) || canRenameBetween(directory, real))) {
      patterns.push(...without.map((pattern) => join(inside, pattern)));
      continue;
    }
    if (inside !== undefined) exclude.push(inside);
    outside.push({ path: real, exclude: ownInside(real), patterns: [workPattern, ...without] });
  }
  const [files, ...others] = [{ path: directory, exclude, patterns }, ...outside].flatMap(splitAtMounts);
  return [
    ...(files ? [{ name: 'files', root: files }] : []),
    ...others.map((root, index) => ({ name: `data-${index + 1}`, root })),
  ];
}

/** A database that is a file is none like any other: it has a part of the snapshot for itself. */
function databasePlaces(directory: string, { database }: Config): string[] {
  if (database === 'none' || !('file' in database)) return [];
  const real = placesOf(databaseFile(directory, database.file));
  // The checkout may be named by a path that leads through a link.
  return [
    ...real,
    ...real
      .flatMap((path) => insideOf(realpathOf(directory), path) ?? [])
      .map((path) => join(directory, path)),
  ];
}

const realpathOf = (path: string) => (existsSync(path) ? realpathSync(path) : path);

/** A tree, and each mount in it as a tree of its own, which the outer one leaves out. */
function splitAtMounts(root: Root): Root[] {
  if (!existsSync(root.path) || !statSync(root.path).isDirectory()) return [root];
  const points = mountPointsBelow(root.path)
    .map((point) => relative(realpathSync(root.path), point))
    .filter((inside) => !isLeftOut(root, inside));
  const within = (inside: string, paths: readonly string[]) =>
    paths.flatMap((path) => (path.startsWith(`${inside}/`) ? [path.slice(inside.length + 1)] : []));
  return ['', ...points].map((inside) => {
    // A mount that lies in another one belongs to that.
    const exclude = [...root.exclude, ...points.filter((point) => point !== inside)];
    if (inside === '') return { ...root, exclude };
    const everywhere = root.patterns.filter((pattern) => pattern === workPattern || pattern.startsWith('**'));
    return {
      path: join(root.path, inside),
      exclude: within(inside, exclude),
      patterns: [...everywhere, ...within(inside, root.patterns)],
    };
  });
}

/** True for a path that a root leaves out, or that lies in something that it leaves out. */
function isLeftOut({ exclude, patterns }: Root, path: string): boolean {
  const parts = path.split('/');
  return parts.some((_, index) => {
    const above = parts.slice(0, index + 1).join('/');
    return exclude.includes(above) || patterns.some((pattern) => matchesGlob(above, pattern));
  });
}

/** Where data really lie: an archive of the checkout would hold a symbolic link to them and not what is behind it. */
function locate(directory: string, path: string): { real: string; inside: string | undefined } {
  const full = resolve(directory, path);
  if (!existsSync(full)) return { real: full, inside: insideOf(directory, full) };
  const real = realpathSync(full);
  return { real, inside: insideOf(realpathSync(directory), real) };
}

/** The relative path of what lies in a folder or is it; undefined for what lies elsewhere. */
function insideOf(folder: string, path: string): string | undefined {
  const inside = relative(folder, path);
  return inside === '..' || inside.startsWith('../') ? undefined : inside;
}

/**
 * The roots of a snapshot as they are restored here: the checkout is this one, wherever it lay then, and what the
 * present configuration leaves out of its snapshots stays untouched, since no safety snapshot holds it.
 *
 * @param keep paths of the checkout that stay as they are as well
 */
export function rootsToRestore(
  appliance: Appliance,
  manifestRoots: readonly SnapshotRoot[],
  keep: readonly string[] = [],
): SnapshotRoot[] {
  const present = describeRoots(appliance, appliance.config);
  const notProducts = (path: string) => !productPaths(appliance.config).includes(path);
  return manifestRoots.map((root) => {
    const path = root.name === 'files' ? appliance.directory : root.path;
    const now = present.find((one) => one.root.path === path)?.root;
    const kept = root.name === 'files' ? keep : [];
    return {
      ...root,
      path,
      exclude: [...new Set([...root.exclude, ...kept, ...(now?.exclude ?? []).filter(notProducts)])],
      patterns: [...new Set([...root.patterns, ...(now?.patterns ?? [])])],
    };
  });
}

/**
 * Removes what restores have set aside inside roots on mounts of their own, but for that of one run; the folder keeps
 * its time. May be run twice.
 */
export async function dropSetAsideInRoots(
  appliance: Appliance,
  currentRun: string | undefined,
): Promise<void> {
  const kept = currentRun === undefined ? undefined : workFolder('', currentRun);
  for (const { root } of describeRoots(appliance, appliance.config)) {
    if (!existsSync(root.path) || !statSync(root.path).isDirectory()) continue;
    const old = readdirSync(root.path).filter((name) => matchesGlob(name, workPattern) && name !== kept);
    if (old.length === 0) continue;
    const { mtimeNs } = statSync(root.path, { bigint: true });
    for (const name of old) removeTree(join(root.path, name));
    await appliance.runtime.run(setTime(root.path, mtimeNs));
  }
}
