import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { fsyncDirectory, writeFileAtomic } from '../lib/atomic-file.ts';
import { keepFromGitClean } from '../lib/own-repository.ts';
import { removeTree } from '../lib/remove-tree.ts';
import type { DatabaseFacts } from '../database/database-facts.ts';
import { absoluteGitDirectory, labelOf, readHead } from '../tools/git-facts.ts';
import { barrier } from './barrier.ts';
import { backupFiles, type FilesBackup } from './files.ts';
import { sha256OfFile } from './inventory.ts';
import {
  checksumFile,
  databaseDump,
  manifestFile,
  snapshotFormat,
  type Manifest,
  type SnapshotKind,
  type SnapshotPart,
  type SnapshotProduct,
  type SnapshotRoot,
} from './manifest.ts';
import { describeProducts } from './products.ts';
import { backupRegistry } from './registry.ts';
import { restoreGuide } from './restore-guide.ts';
import { checksumLines, manifestDigest, unsealedSuffix } from './store.ts';

/**
 * A snapshot in the making: built part by part under a name that nobody reads as a snapshot, and sealed by a rename.
 * Until then it is worth nothing, and is thrown away by recovery.
 */
export class SnapshotDraft {
  readonly id: string;
  readonly folder: string;
  readonly #appliance: Appliance;
  readonly #about: {
    kind: SnapshotKind;
    sequence: number;
    name?: string | undefined;
    online: boolean;
    former?: readonly SnapshotRoot[];
  };
  #database: DatabaseFacts | undefined;
  #volume: string | undefined;
  #files: FilesBackup | undefined;
  #products: readonly SnapshotProduct[] = [];
  #registry: Manifest['registry'];

  constructor(
    appliance: Appliance,
    id: string,
    about: {
      kind: SnapshotKind;
      sequence: number;
      name?: string | undefined;
      online: boolean;
      former?: readonly SnapshotRoot[];
    },
  ) {
    this.#appliance = appliance;
    this.#about = about;
    this.id = id;
    this.folder = join(appliance.backupsDirectory, `${id}${unsealedSuffix}`);
  }

  /** Begins with an empty folder. May be run twice. */
  begin(): void {
    ensureBackupsFolder(this.#appliance.backupsDirectory);
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(this.folder, { mode: 0o700 });
  }

  /**
   * Inside a window: copies the database where its storage does that at no cost, or dumps it, and takes down all that a dump
   * leaves out.
   *
   * @param options.withoutDump it cannot be read: only what belongs to the database itself is taken down
   */
  async addDatabase(
    options: { signal?: AbortSignal; withoutDump?: boolean } = {},
  ): Promise<DatabaseFacts | undefined> {
    const { database } = this.#appliance;
    if (!database) return undefined;
    if (options.withoutDump === true) {
      this.#database = await database.describeProperties();
    } else if ((await database.copies?.areUsable()) === true) {
      this.#database = await database.describe();
      options.signal?.throwIfAborted();
      this.#volume = await database.copies?.take(this.id);
    } else {
      this.#database = await database.dumpWithFacts(join(this.folder, databaseDump), options.signal);
    }
    return this.#database;
  }

  /** Archives the files, and takes down where products are and where git stands. */
  async addFiles(): Promise<FilesBackup> {
    const { config, directory, runtime } = this.#appliance;
    this.#products = describeProducts(this.#appliance, config);
    const index = join(await absoluteGitDirectory(runtime, directory), 'index');
    if (existsSync(index)) copyFileSync(index, join(this.folder, 'git-index'));
    this.#files = await backupFiles(this.#appliance, config, this.folder, this.#about.former);
    return this.#files;
  }

  addRegistry(): Manifest['registry'] {
    this.#registry = backupRegistry(this.#appliance.directory, this.#appliance.config, this.folder);
    return this.#registry;
  }

  /**
   * Writes the manifest, makes everything durable, and gives the snapshot its name.
   *
   * @returns the manifest and its digest, for the journal
   */
  async seal(): Promise<{ manifest: Manifest; digest: string }> {
    const { config, directory, runtime, program, file, node } = this.#appliance;
    if (!this.#files) throw new Error('a snapshot without files cannot be sealed');
    const head = await readHead(runtime, directory);
    const contents: Omit<Manifest, 'parts'> = {
      format: snapshotFormat,
      id: this.id,
      kind: this.#about.kind,
      ...(this.#about.name === undefined ? {} : { name: this.#about.name }),
      sequence: this.#about.sequence,
      createdAt: new Date().toISOString(),
      run: this.id,
      online: this.#about.online,
      holdfast: program.version,
      commit: head.commit,
      ...(head.ref === undefined ? {} : { ref: head.ref }),
      label: await labelOf(runtime, directory, head.commit),
      configurationFile: file,
      configuration: config,
      node,
      roots: [...this.#files.roots],
      products: [...this.#products],
      ...(this.#database ? { database: this.#database } : {}),
      ...(this.#volume === undefined ? {} : { volume: this.#volume }),
      ...(this.#registry ? { registry: this.#registry } : {}),
      notRestored: Object.entries(config.stores).map(([name, { none }]) => `${name}: ${none}`),
    };
    writeFileAtomic(join(this.folder, 'RESTORE.md'), restoreGuide(contents));
    const manifest: Manifest = { ...contents, parts: await this.#listParts() };
    writeFileAtomic(join(this.folder, manifestFile), `${JSON.stringify(manifest, null, 2)}\n`);
    const digest = manifestDigest(this.folder);
    writeFileAtomic(join(this.folder, checksumFile), checksumLines(digest, manifest.parts));
    await barrier(this.#appliance);
    renameSync(this.folder, join(this.#appliance.backupsDirectory, this.id));
    fsyncDirectory(this.#appliance.backupsDirectory);
    return { manifest, digest };
  }

  async #listParts(): Promise<SnapshotPart[]> {
    const parts: SnapshotPart[] = [];
    for (const name of readdirSync(this.folder).toSorted()) {
      const path = join(this.folder, name);
      // Dumps and archives are made by programs that know our umask and not our rule.
      chmodSync(path, 0o600);
      parts.push({ name, sizeBytes: statSync(path).size, sha256: await sha256OfFile(path) });
    }
    return parts;
  }
}

/** The folder of all snapshots: 0700, and a repository of its own, so that `git clean -fdx` leaves it alone. */
export function ensureBackupsFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
  keepFromGitClean(path);
}

/** Folders of what was never sealed. */
export function findUnsealed(backupsDirectory: string): string[] {
  if (!existsSync(backupsDirectory)) return [];
  return readdirSync(backupsDirectory)
    .filter((name) => name.endsWith(unsealedSuffix))
    .map((name) => join(backupsDirectory, name));
}

/** Throws away what was never sealed. May be run twice. */
export function dropUnsealed(backupsDirectory: string): void {
  for (const folder of findUnsealed(backupsDirectory)) removeTree(folder);
}
