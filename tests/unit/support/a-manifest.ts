import type { Manifest } from '../../../orchestrator/snapshot/manifest.ts';
import type { SnapshotListing } from '../../../orchestrator/snapshot/store.ts';
import { configOf } from './an-appliance.ts';

/** A manifest that the schema takes, with what a test cares about. */
export function manifestWith(more: Partial<Manifest> = {}): Manifest {
  return {
    ...{ format: 1, id: 's1', kind: 'update', sequence: 1, createdAt: '2026-11-20T02:14:03.000Z', run: 's1' },
    ...{
      online: false,
      holdfast: '0.1.0',
      commit: 'c1',
      ref: 'refs/heads/main',
      label: 'v1',
      node: '/usr/bin/node',
    },
    ...{ configurationFile: '/box/appliance.yaml', configuration: configOf() },
    ...{ roots: [], products: [], notRestored: [], parts: [] },
    ...more,
  };
}

/** A snapshot as it is listed, its run called as it is. */
export function listingOf(id: string, more: Partial<Manifest> = {}): SnapshotListing {
  return { id, folder: `/backups/${id}`, sizeBytes: 0, manifest: manifestWith({ id, run: id, ...more }) };
}

/** One whose manifest cannot be read. */
export function brokenListing(id: string): SnapshotListing {
  return {
    id,
    folder: `/backups/${id}`,
    sizeBytes: 0,
    manifest: undefined,
    problem: 'its manifest is not JSON',
  };
}
