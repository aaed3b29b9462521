import { closeSync, existsSync, mkdirSync, openSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { messageOf, Refusal } from '../lib/errors.ts';
import { removeTree } from '../lib/remove-tree.ts';
import { formatBytes } from '../lib/units.ts';
import { scan } from './inventory.ts';
import { describeRoots } from './roots.ts';

/*
 * Room for the way back, taken while the appliance still serves: whatever the update itself or a stranger writes
 * from then on, it is not written into this. It is given back as the first act of every recovery.
 */

/** The journal's growth, the index, the fence, records of services, logs: what is written even where little changed. */
const baseBytes = 64 * 1024 * 1024;
const baseInodes = 500;

/** Making and removing more than this many files would take longer than it is worth. */
const mostInodes = 50_000;

/** With more than this many free nobody uses them up within an update, and ours would only cost time. */
const plentyOfInodes = 1_000_000;

/** A file system whose number of files was fixed when it was made: ext2, ext3 and ext4 (statfs(2)). */
const ext4Magic = 0xef53;

export interface Reserve {
  readonly what: string;
  /** A folder of the run's, or of the database's, which holds it. */
  readonly folder: string;
  readonly bytes: number;
  /** Files that a restore makes, where the file system has a fixed number of them and not plenty; otherwise none. */
  readonly inodes: number;
}

export const reservePath = (runFolder: string) => join(runFolder, 'reserve');

/**
 * What a restore may need at worst: every file of the trees that share the state's file system comes back from the
 * archive while the failed one is kept, and a second database is filled while the first one is kept. A data folder on
 * a disk of its own has nothing reserved on it, and neither has a database server that is not ours.
 */
export async function planReserves(appliance: Appliance, runFolder: string): Promise<Reserve[]> {
  const { state, database } = appliance;
  const device = statSync(state.path).dev;
  const files = describeRoots(appliance, appliance.config)
    .filter(({ root }) => existsSync(root.path) && statSync(root.path).dev === device)
    .flatMap(({ root }) => scan(root));
  const reserves = [
    {
      what: 'files that come back from the archive',
      folder: reservePath(runFolder),
      bytes: baseBytes + files.reduce((sum, { size }) => sum + size, 0),
      inodes: baseInodes + files.length,
    },
  ];
  const second = await database?.roomForRestore();
  if (database && second) {
    reserves.push({
      what: 'a second copy of the database',
      folder: database.reserveFolder,
      bytes: baseBytes + second.bytes,
      inodes: baseInodes + second.files,
    });
  }
  return reserves.map((reserve) => ({
    ...reserve,
    inodes: hasScarceInodes(reserve.folder) ? Math.min(reserve.inodes, mostInodes) : 0,
  }));
}

function hasScarceInodes(folder: string): boolean {
  const parent = join(folder, '..');
  if (!existsSync(parent)) return false;
  const { type, ffree } = statfsSync(parent);
  return type === ext4Magic && ffree < plentyOfInodes;
}

/**
 * Takes the room, really and at once: a disk that fills up later does not fill this. A file system that cannot give
 * any away (ZFS, some network ones) is told, and gets none.
 *
 * @returns how much, in bytes, with what the database's own storage holds
 * @throws Refusal if there is no room
 */
export async function takeReserves(
  { runtime, database }: Pick<Appliance, 'runtime' | 'database'>,
  reserves: readonly Reserve[],
  warn: (message: string) => void,
): Promise<number> {
  let taken = 0;
  const take = async (
    { what, bytes, place, remedy }: { what: string; bytes: number; place: string; remedy: string },
    work: () => Promise<void>,
  ) => {
    try {
      await work();
      taken += bytes;
    } catch (error) {
      if (/not supported/i.test(messageOf(error))) {
        warn(`no room is set aside for ${what}: the file system of ${place} cannot do that`);
        return;
      }
      throw new Refusal(
        `cannot set room aside for the way back: ${formatBytes(bytes)} for ${what}: ${messageOf(error)}`,
        `${remedy}, then try again`,
        error,
      );
    }
  };
  for (const { what, folder, bytes, inodes } of reserves) {
    const place = join(folder, '..');
    const remedy = `make room on the disk of ${place} (df -h and df -i show it)`;
    await take({ what, bytes, place, remedy }, async () => {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      await runtime.run({
        file: 'fallocate',
        args: ['--length', String(bytes), join(folder, 'bytes')],
        label: 'fallocate (the reserve for a restore)',
      });
      for (let number = 0; number < inodes; number += 1)
        closeSync(openSync(join(folder, String(number)), 'w', 0o600));
    });
  }
  const { reserve } = runtime;
  if (reserve) {
    const databaseBytes = await roomInPlaces(database);
    const remedy = 'make room in that container, or in the storage pool (docs/OPERATING.md says how)';
    const bytes = reserve.bytes + databaseBytes;
    await take({ what: 'the containers', bytes, place: 'a container', remedy }, async () => {
      await reserve.take(databaseBytes);
    });
  }
  return taken;
}

/** Gives back what lies on this machine's disks. May be run twice. Only under the lock: an open run needs its own. */
export function releaseReserves(appliance: Pick<Appliance, 'state' | 'database'>, runId: string): void {
  removeTree(reservePath(appliance.state.run(runId)));
  if (appliance.database) removeTree(appliance.database.reserveFolder);
}

/** What a restore of the database needs on the storage of its own place: nothing where it comes back as a copy. */
async function roomInPlaces(database: Appliance['database']): Promise<number> {
  if (!database?.copies || (await database.copies.areUsable())) return 0;
  return await database.sizeBytes();
}

/**
 * Gives back what lies on the disks of places. May be run twice. Where one does not answer it stays, and the next run gives
 * it back.
 */
export async function releaseInPlaces({ runtime }: Pick<Appliance, 'runtime'>): Promise<void> {
  await runtime.reserve?.release().catch(() => {});
}
