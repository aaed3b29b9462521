import { existsSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { Refusal } from '../lib/errors.ts';
import { formatBytes } from '../lib/units.ts';
import { measureFiles } from '../snapshot/files.ts';
import { scan } from '../snapshot/inventory.ts';
import { productPaths } from '../snapshot/products.ts';

/** Room for logs, journals and everything small. */
const marginBytes = 128 * 1024 * 1024;

export interface SpaceNeed {
  readonly what: string;
  readonly path: string;
  readonly bytes: number;
}

/** What an update will take, by place: snapshot, second products, second database. Compression is not counted on. */
export async function estimateSpace(appliance: Appliance): Promise<SpaceNeed[]> {
  const { config, directory, state, backupsDirectory, database } = appliance;
  const databaseBytes = (await database?.sizeBytes()) ?? 0;
  const products = productPaths(config).reduce((sum, path) => sum + treeSize(join(directory, path)), 0);
  const embedded = config.database !== 'none' && config.database.embedded === true;
  return [
    { what: 'the snapshot', path: backupsDirectory, bytes: measureFiles(appliance, config) + databaseBytes },
    { what: 'the new version beside the old one', path: directory, bytes: products + marginBytes },
    ...(embedded
      ? [{ what: 'a second copy of the database', path: state.path, bytes: Math.ceil(databaseBytes * 1.2) }]
      : []),
  ];
}

function treeSize(path: string): number {
  return scan({ path, exclude: [], patterns: [] }).reduce((sum, entry) => sum + entry.size, 0);
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
    const needed = needs.reduce((sum, need) => sum + need.bytes, 0);
    if (files > 0 && ffree < 1000)
      throw new Refusal(
        `cannot go on: only ${ffree} inodes are free at ${at}`,
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
