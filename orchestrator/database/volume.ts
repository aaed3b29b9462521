import { Refusal } from '../lib/errors.ts';
import { formatBytes } from '../lib/units.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Volumes } from '../runtime/volumes.ts';
import { otherDatabasesSql } from './beyond.ts';
import { PostgresClients } from './clients.ts';
import { serverOnCopy } from './copied-server.ts';
import type { ContainerServer } from './container.ts';
import type { Copies, KeepSetAside } from './engine.ts';
import { compareContents } from './facts.ts';
import { PostgresDatabase } from './postgres.ts';

/** What diverges from a copy while a release is migrated, beside the rows themselves, and what is set aside for a restore. */
const marginBytes = 512 * 1024 * 1024;

/** Where a copy is looked into, in the server's container. */
const copyFolder = '/var/lib/holdfast-copy';

const copySuffix = (snapshot: string) => `backup-${snapshot}`;

/**
 * PostgreSQL in a container, on a volume of a storage that copies it at no cost. A copy of the volume, made while the server
 * is stopped, is the way back of an update; the dump, which brings it back anywhere, is made from that copy afterwards.
 */
export class VolumeDatabase extends PostgresDatabase {
  readonly copies: Copies;
  readonly #volumes: Volumes;
  readonly #clients: PostgresClients;

  constructor(
    server: ContainerServer,
    runtime: Runtime,
    volumes: Volumes,
    places: { readonly fenceFile: string; readonly reserveFolder: string },
  ) {
    super(server, runtime, places);
    this.#volumes = volumes;
    this.#clients = new PostgresClients(server, runtime, places.fenceFile);
    this.copies = {
      areUsable: async () => (await volumes.areCheap()) && (await this.#mayStop()),
      has: async (name) => (await volumes.list()).includes(name),
      list: async () => await volumes.list(),
      take: async (snapshot) => {
        await server.stop();
        try {
          return await volumes.copy(volumes.live(), copySuffix(snapshot));
        } finally {
          await server.ensureRunning();
        }
      },
      putBack: async (name, wanted, mark) => {
        if (!volumes.setAside().some((one) => one.mark === mark)) {
          await server.stop();
          await volumes.use(await volumes.copy(name, `data-${mark}`), mark);
          // The copy was made inside a window; who is let in now is not for it to say.
          await server.seclude();
        }
        await this.ensureRunning();
        await this.seclude();
        const differences = compareContents(wanted, await this.describe());
        if (differences.length > 0)
          throw new Error(`the copy did not bring everything back: ${differences.join('; ')}`);
      },
      takeBack: async (mark) => {
        const former = volumes.setAside().find((one) => one.mark === mark);
        if (!former) return;
        if (volumes.live() !== former.volume) {
          await server.stop();
          await volumes.use(former.volume, `${mark}-back`);
        }
        await this.ensureRunning();
        await this.seclude();
      },
      dump: async (name, wanted, file, signal) => {
        const place = { folder: copyFolder, database: wanted.name, signal };
        await volumes.withCopyAt(name, copyFolder, async () => {
          await serverOnCopy(server, runtime, place, async (client) => await client.dump(file, { signal }));
        });
      },
    };
  }

  /** A copy takes none; where none can be made, the storage that the server lies on is not this machine's disk. */
  override async roomForRestore(): Promise<undefined> {
    return await Promise.resolve(undefined);
  }

  override async proveWayBack(scratchFile: string): Promise<void> {
    await super.proveWayBack(scratchFile);
    const [free, size] = [await this.#volumes.freeBytes(), await this.sizeBytes()];
    const needed = marginBytes + size * ((await this.copies.areUsable()) ? 1 : 2);
    if (free === undefined || free >= needed) return;
    throw new Refusal(
      `cannot go on: ${formatBytes(free)} are free in the storage pool of the containers, ${formatBytes(needed)} needed for the database (${formatBytes(size)}) beside its copy`,
      'make the pool bigger, or remove old snapshots: ./run.sh backup prune',
    );
  }

  override async dropSetAside(keep: KeepSetAside): Promise<void> {
    await super.dropSetAside(keep);
    const { live, list, remove, setAside } = this.#volumes;
    const marks = keep.runs.flatMap((run) => [run, `${run}-back`]);
    const kept = new Set([
      live(),
      ...setAside().flatMap(({ volume, mark }) => (marks.includes(mark) ? [volume] : [])),
    ]);
    const copies = [...keep.runs, ...keep.snapshots].map(copySuffix);
    for (const name of await list())
      if (!kept.has(name) && !copies.some((suffix) => name.endsWith(`.${suffix}`))) await remove(name);
  }

  /**
   * A volume holds all that is on the server: with somebody else's database on it, it must not go back. Nor is a server
   * stopped for a copy that would start with settings which nobody has tried yet.
   */
  async #mayStop(): Promise<boolean> {
    const client = await this.#clients.live();
    return await client.query<boolean>(
      `select to_json(json_array_length((${otherDatabasesSql})) = 0
         and not exists (select from pg_file_settings where error is not null));`,
    );
  }
}
