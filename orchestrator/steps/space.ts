import { existsSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { Refusal } from '../lib/errors.ts';
import { formatBytes } from '../lib/units.ts';
import { whyUnmovable } from '../lib/unmovable.ts';
import { measureFiles } from '../snapshot/files.ts';
import { scan } from '../snapshot/inventory.ts';
import { productPaths } from '../snapshot/products.ts';
import { planReserves } from '../snapshot/reserve.ts';
import { describeRoots } from '../snapshot/roots.ts';

/** Room for logs, journals and everything small. */
const marginBytes = 128 * 1024 * 1024;
const marginInodes = 1000;

export interface SpaceNeed {
  readonly what: string;
  readonly path: string;
  readonly bytes: number;
  readonly inodes: number;
}

/**
 * What an update will take, by place: the snapshot, second products, and what a restore may need, most of which is
 * set aside before anything is touched. Compression is not counted on.
 */
export async function estimateSpace(appliance: Appliance): Promise<SpaceNeed[]> {
  const { config, directory, state, backupsDirectory, database } = appliance;
  const databaseBytes = (await database?.sizeBytes()) ?? 0;
  const products = productPaths(config).map((path) => measure(join(directory, path)));
  const reserves = await planReserves(appliance, state.path);
  return [
    {
      what: 'the snapshot',
      path: backupsDirectory,
      bytes: measureFiles(appliance, config) + databaseBytes,
      inodes: 0,
    },
    {
      what: 'the new version beside the old one',
      path: directory,
      bytes: products.reduce((sum, { bytes }) => sum + bytes, marginBytes),
      inodes: products.reduce((sum, { inodes }) => sum + inodes, marginInodes),
    },
    ...reserves.map(({ what, folder, bytes, inodes }) => ({ what, path: folder, bytes, inodes })),
    ...rootsElsewhere(appliance),
  ];
}

/** Data on disks of their own: a restore works inside them, and nothing is set aside there. One that is read-only needs no room. */
function rootsElsewhere({ config, state, ...appliance }: Appliance): SpaceNeed[] {
  const device = statSync(existingParent(state.path)).dev;
  return describeRoots({ config, state, ...appliance }, config)
    .filter(({ root }) => existsSync(root.path) && statSync(root.path).dev !== device)
    .filter(({ root }) => whyUnmovable(root.path) === undefined)
    .map(({ root }) => ({
      what: `files that come back to ${root.path}`,
      path: root.path,
      ...measure(root.path),
    }));
}

function measure(path: string): { bytes: number; inodes: number } {
  const entries = scan({ path, exclude: [], patterns: [] });
  return { bytes: entries.reduce((sum, { size }) => sum + size, 0), inodes: entries.length };
}

/** @throws Refusal that says what is free, what is needed, and for what */
export async function verifySpace(appliance: Appliance): Promise<void> {
  const byDevice = new Map<number, SpaceNeed[]>();
  for (const need of await estimateSpace(appliance)) {
    const device = statSync(existingParent(need.path)).dev;
    byDevice.set(device, [...(byDevice.get(device) ?? []), need]);
  }
  for (const needs of byDevice.values()) {
    const at = existingParent(needs[0]?.path ?? '/');
    const { bavail, bsize, ffree, files } = statfsSync(at);
    const free = bavail * bsize;
    const needed = needs.reduce((sum, { bytes }) => sum + bytes, 0);
    const inodes = needs.reduce((sum, need) => sum + need.inodes, 0);
    // File systems that make inodes as they need them say that they have none at all.
    if (files > 0 && ffree < inodes)
      throw new Refusal(
        `cannot go on: ${ffree} inodes are free at ${at}, ${inodes} needed`,
        'remove small files you do not need from that disk',
      );
    if (free < needed) {
      const parts = needs.map((need) => `${formatBytes(need.bytes)} for ${need.what}`).join(', ');
      throw new Refusal(
        `cannot go on: ${formatBytes(free)} free at ${at}, ${formatBytes(needed)} needed (${parts})`,
        'free some (./run.sh backup prune removes old snapshots), or set backups.directory to another disk',
      );
    }
  }
}

function existingParent(path: string): string {
  return existsSync(path) || path === '/' ? path : existingParent(dirname(path));
}
