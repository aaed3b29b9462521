import { chownSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { removeTree } from '../../lib/remove-tree.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Beyond } from '../beyond.ts';
import type { DatabaseFacts, SqliteFacts } from '../database-facts.ts';
import type {
  AppliedMigration,
  Database,
  DatabaseGlance,
  KeepSetAside,
  RecordedDataMigration,
  Replacement,
  SchemaInspection,
  TableDescription,
} from '../engine.ts';
import { compareContents } from '../facts.ts';
import type { ScratchDatabase } from '../scratch.ts';
import { leavingUntouched } from '../untouched.ts';
import { giveAttributes, keepingTime } from './attributes.ts';
import { UnreadableError, type SqliteClient } from './client.ts';
import { factsElsewhere, factsOf, glanceAt, nothingKnown, ofSqlite } from './facts.ts';
import { besideFolder, inodeOf, listBeside, listSetAside, newName } from './places.ts';
import { sqliteScratch, withScratchFile } from './scratch.ts';
import { ensureBesideFolder, removeSet, sizeOfSet, swapFiles } from './swap.ts';
import { proveWayBack, untilNobodyHasIt } from './way-back.ts';

export interface SqliteOptions {
  /** Absolute, where it really lies (`databaseFile`). */
  readonly file: string;
  /** The variables that name it, to services, builds and migrations. */
  readonly variables: readonly string[];
  readonly runtime: Runtime;
  readonly client: SqliteClient;
  /** Where scratch databases are made. */
  readonly scratchFolder: string;
  /** Where the runtime keeps what it knows of services. */
  readonly servicesFolder: string;
  /** Whether the appliance was set up: then a file that is missing is missed, and not made. */
  readonly isInstalled: () => boolean;
}

/**
 * SQLite behind the `Database` interface: one file, and no server that could keep anybody out. While the services are
 * stopped nobody else may have it open, which is looked at when a window opens and before a restore, and refused with who
 * it is. Who opens it in between cannot be kept out; a restore waits until it is let go, since a program that still writes
 * its journal beside a file that was exchanged destroys the new one.
 */
export class SqliteDatabase implements Database {
  readonly engine = 'sqlite';
  readonly #options: SqliteOptions;

  constructor(options: SqliteOptions) {
    this.#options = options;
  }

  get #file(): string {
    return this.#options.file;
  }

  get reserveFolder(): string {
    return join(besideFolder(this.#file), 'reserve');
  }

  async ensureRunning(): Promise<void> {
    if (existsSync(this.#file) || this.#options.isInstalled()) return;
    mkdirSync(dirname(this.#file), { recursive: true });
    await this.#options.client.ask('create', this.#file);
    if (process.geteuid?.() === 0) {
      const { uid, gid } = statSync(dirname(this.#file));
      chownSync(this.#file, uid, gid);
    }
  }

  async glance(): Promise<DatabaseGlance> {
    return await Promise.resolve(glanceAt(this.#file));
  }

  async stop(): Promise<void> {}

  async environment(): Promise<Record<string, string>> {
    return await Promise.resolve(this.#variablesFor(this.#file));
  }

  async windowEnvironment(): Promise<Record<string, string>> {
    return await this.environment();
  }

  #variablesFor(file: string): Record<string, string> {
    return Object.fromEntries(this.#options.variables.map((name) => [name, `file:${file}`]));
  }

  async describe(): Promise<SqliteFacts> {
    return await this.#keepingTime(async () =>
      factsOf(this.#file, await this.#options.client.ask('contents', this.#file)),
    );
  }

  /** Of a file that SQLite cannot read, or that is gone, what can be told all the same: a rollback is what mends it. */
  async describeProperties(): Promise<SqliteFacts> {
    return await this.#keepingTime(async () => {
      try {
        return factsOf(this.#file, await this.#options.client.ask('properties', this.#file));
      } catch (error) {
        if (!(error instanceof UnreadableError)) throw error;
        return factsOf(this.#file, nothingKnown);
      }
    });
  }

  async sizeBytes(): Promise<number> {
    return await Promise.resolve(sizeOfSet(this.#file));
  }

  async roomForRestore(): Promise<{ bytes: number; files: number }> {
    return { bytes: await this.sizeBytes(), files: 10 };
  }

  /**
   * Looks for what would stand in the way: programs that have the file open and will not be stopped, damage, rights. The
   * renames are tried on an empty file.
   */
  async proveWayBack(): Promise<void> {
    const { client, runtime, servicesFolder } = this.#options;
    await this.#keepingTime(async () => await proveWayBack(this.#file, client, runtime, servicesFolder));
  }

  async fence(): Promise<string | undefined> {
    await untilNobodyHasIt(this.#file, 'go on');
    return undefined;
  }

  async seclude(): Promise<void> {
    await untilNobodyHasIt(this.#file, 'restore the database');
  }

  async admitServices(): Promise<void> {}

  async unfence(): Promise<void> {}

  async dump(file: string, signal?: AbortSignal): Promise<void> {
    await this.dumpWithFacts(file, signal);
  }

  async dumpWithFacts(file: string, signal?: AbortSignal): Promise<SqliteFacts> {
    return await this.#keepingTime(async () =>
      factsOf(this.#file, await this.#options.client.ask('back-up', this.#file, { to: file, signal })),
    );
  }

  async prepareReplacement(file: string, wanted: DatabaseFacts, runId: string): Promise<Replacement> {
    const facts = ofSqlite(wanted);
    return await this.#keepingTime(async () => {
      const place = join(ensureBesideFolder(this.#file), newName(runId));
      await this.#options.client.ask('copy', file, { to: place });
      giveAttributes(place, facts);
      const differences = await this.tryDump(place, facts);
      if (differences.length > 0)
        throw new Error(`the copy did not bring everything back: ${differences.join('; ')}`);
      return { live: inodeOf(this.#file), replacement: inodeOf(place) };
    });
  }

  async hasReplacement({ replacement }: Replacement): Promise<boolean> {
    const known = [inodeOf(this.#file), ...listBeside(this.#file).map(({ inode }) => inode)];
    return await Promise.resolve(known.includes(replacement));
  }

  async swap(replacement: Replacement, _facts: DatabaseFacts, runId: string): Promise<void> {
    await this.#keepingTime(async () => {
      swapFiles(this.#file, replacement, runId);
      await Promise.resolve();
    });
  }

  async verifyAlone(what: string): Promise<void> {
    await untilNobodyHasIt(this.#file, what, './run.sh stop, or ');
  }

  async replaceBy(file: string, facts: DatabaseFacts, runId: string): Promise<void> {
    const replacement = await this.prepareReplacement(file, facts, runId);
    await this.verifyAlone('restore the dump');
    await this.swap(replacement, facts, runId);
  }

  async findBeyond(): Promise<Beyond> {
    return await Promise.resolve({ leftOver: [], gone: [] });
  }

  async adopt(facts: DatabaseFacts): Promise<SqliteFacts | undefined> {
    return await Promise.resolve(factsElsewhere(ofSqlite(facts), this.#file));
  }

  async tryDump(file: string, wanted: DatabaseFacts): Promise<string[]> {
    const facts = ofSqlite(wanted);
    const contents = await this.#options.client.ask('check', file);
    return compareContents(facts, { ...facts, ...contents });
  }

  async withScratch<T>(
    work: (scratch: ScratchDatabase) => Promise<T>,
    filled?: { file: string; facts: DatabaseFacts },
  ): Promise<T> {
    const onCopy = async (file: string) =>
      await work(sqliteScratch(this.#options.client, file, this.#variablesFor(file)));
    return await leavingUntouched(
      this,
      async () => await withScratchFile(this.#options, filled?.file, onCopy),
    );
  }

  async dropSetAside(keep: KeepSetAside): Promise<void> {
    await this.#keepingTime(async () => {
      removeTree(this.#options.scratchFolder);
      for (const { path } of listSetAside(this.#file, keep)) removeSet(path);
      const folder = besideFolder(this.#file);
      if (existsSync(folder) && readdirSync(folder).length === 0) removeTree(folder);
      await Promise.resolve();
    });
  }

  async sizeOfSetAside(keep: KeepSetAside): Promise<number> {
    const found = listSetAside(this.#file, keep);
    return await Promise.resolve(found.reduce((sum, { path }) => sum + sizeOfSet(path), 0));
  }

  async appliedMigrations(): Promise<AppliedMigration[]> {
    return await this.#keepingTime(
      async () => await this.#options.client.ask('schema-migrations', this.#file),
    );
  }

  async inspectSchema(): Promise<SchemaInspection> {
    return await this.#keepingTime(async () => await this.#options.client.ask('inspect', this.#file));
  }

  async revertMigrations(migrations: readonly { name: string; sql: string }[]): Promise<void> {
    await this.#options.client.ask('revert', this.#file, { migrations });
  }

  async describeTable(_schema: string, name: string): Promise<TableDescription | undefined> {
    return (await this.#options.client.ask('table', this.#file, { table: name })) ?? undefined;
  }

  async dataMigrations(): Promise<RecordedDataMigration[] | undefined> {
    const found = await this.#keepingTime(
      async () => await this.#options.client.ask('data-migrations', this.#file),
    );
    return found ?? undefined;
  }

  async #keepingTime<T>(work: () => Promise<T>): Promise<T> {
    return await keepingTime(this.#options.runtime, dirname(this.#file), work);
  }
}
