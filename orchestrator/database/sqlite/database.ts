import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { renameDurably } from '../../lib/atomic-file.ts';
import { messageOf, Refusal } from '../../lib/errors.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import { shellWord } from '../../lib/shell-word.ts';
import { formatBytes } from '../../lib/units.ts';
import { waitFor } from '../../lib/wait.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { setTime } from '../../tools/touch.ts';
import type {
  AppliedMigration,
  Database,
  DatabaseFacts,
  DatabaseGlance,
  KeepSetAside,
  RecordedDataMigration,
  Replacement,
  SchemaInspection,
  SqliteFacts,
  TableDescription,
} from '../engine.ts';
import { compareContents } from '../facts.ts';
import type { ScratchDatabase } from '../scratch.ts';
import { UnreadableError, type SqliteClient } from './client.ts';
import { describeHolders, findHolders, findStrangers, type Holder } from './holders.ts';
import type { Contents } from './operations.ts';
import { besideFolder, inodeOf, listBeside, newName, oldName } from './places.ts';
import { sqliteScratch } from './scratch.ts';
import { ensureBesideFolder, removeSet, sizeOfSet, swapFiles } from './swap.ts';

/** How long programs that are about to end may take to let go of the file. */
const patienceMs = 5000;

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
    const stat = statSync(this.#file, { throwIfNoEntry: false });
    const name = basename(this.#file);
    return await Promise.resolve(
      stat
        ? { kind: 'file', ok: true, text: `${name}, ${formatBytes(stat.size)} (SQLite)` }
        : { kind: 'file', ok: false, text: `there is no file ${this.#file} (SQLite)` },
    );
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
      this.#facts(await this.#options.client.ask('contents', this.#file)),
    );
  }

  /** Of a file that SQLite cannot read, or that is gone, what can be told all the same: a rollback is what mends it. */
  async describeProperties(): Promise<SqliteFacts> {
    return await this.#keepingTime(async () => {
      try {
        return this.#facts(await this.#options.client.ask('properties', this.#file));
      } catch (error) {
        if (!(error instanceof UnreadableError)) throw error;
        return this.#facts(nothingKnown);
      }
    });
  }

  #facts(contents: Contents): SqliteFacts {
    const none = { ino: 0, mode: 0o600, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
    const { ino, mode, uid, gid } = statSync(this.#file, { throwIfNoEntry: false }) ?? none;
    return {
      engine: 'sqlite',
      name: basename(this.#file),
      file: this.#file,
      inode: ino,
      mode: mode & 0o7777,
      uid,
      gid,
      ...contents,
    };
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
    const facts = this.#facts(await client.ask('properties', this.#file));
    if (statSync(this.#file).nlink > 1)
      throw new Refusal(
        `cannot prove the way back: ${this.#file} has another name (a hard link), and a restore gives the name to another file`,
        'remove the other name; a copy of the file does what it was for',
      );
    const strangers = findStrangers(this.#file, servicesFolder, runtime.startedServices(servicesFolder));
    if (strangers.length > 0) throw heldOpen('go on', strangers);
    await this.#keepingTime(async () => {
      const folder = ensureBesideFolder(this.#file);
      const [tried, renamed] = [
        join(folder, `try-${process.pid}`),
        join(folder, `try-${process.pid}-renamed`),
      ];
      try {
        await client.ask('create', tried);
        giveAttributes(tried, facts);
        renameDurably(tried, renamed);
        await client.ask('quick-check', this.#file);
      } catch (error) {
        if (error instanceof Refusal) throw error;
        throw new Refusal(
          `cannot prove the way back: ${messageOf(error)}`,
          `run this as root or as the owner of ${this.#file}, in a folder that is theirs; of a damaged database ./run.sh rollback brings back the last good one`,
          error,
        );
      } finally {
        removeSet(tried);
        removeSet(renamed);
      }
    });
  }

  async fence(): Promise<string | undefined> {
    await this.#untilNobodyHasIt('go on');
    return undefined;
  }

  async seclude(): Promise<void> {
    await this.#untilNobodyHasIt('restore the database');
  }

  async #untilNobodyHasIt(what: string): Promise<void> {
    let holders: Holder[] = [];
    const free = await waitFor(
      () => {
        holders = findHolders(this.#file);
        return holders.length === 0 ? true : undefined;
      },
      { timeoutMs: patienceMs },
    );
    if (!free) throw heldOpen(what, holders);
  }

  async admitServices(): Promise<void> {}

  async unfence(): Promise<void> {}

  async dump(file: string, signal?: AbortSignal): Promise<void> {
    await this.dumpWithFacts(file, signal);
  }

  async dumpWithFacts(file: string, signal?: AbortSignal): Promise<SqliteFacts> {
    return await this.#keepingTime(async () =>
      this.#facts(await this.#options.client.ask('back-up', this.#file, { to: file, signal })),
    );
  }

  restoreCommand(dump: string): string {
    const file = shellWord(this.#file);
    // The log of what was there must not be taken for one of the copy.
    return `rm -f ${file}-wal ${file}-shm ${file}-journal && cp ${shellWord(dump)} ${file}`;
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

  async findLeftOver(): Promise<string[]> {
    return await Promise.resolve([]);
  }

  async adopt(facts: DatabaseFacts): Promise<SqliteFacts | undefined> {
    const there = ofSqlite(facts);
    if (there.file === this.#file) return undefined;
    const here = statSync(this.#file, { throwIfNoEntry: false });
    // Whose it is, and who may read it, is this machine's matter.
    const { uid, gid } = here ?? statSync(dirname(this.#file));
    const mode = (here?.mode ?? 0o600) & 0o777;
    return await Promise.resolve({
      ...{ ...there, uid, gid, mode },
      ...{ file: this.#file, name: basename(this.#file), inode: here?.ino ?? 0 },
    });
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
    const { client, scratchFolder } = this.#options;
    removeTree(scratchFolder);
    mkdirSync(scratchFolder, { recursive: true, mode: 0o700 });
    try {
      const file = join(scratchFolder, 'scratch.db');
      if (filled) await client.ask('copy', filled.file, { to: file });
      else await client.ask('create', file);
      return await work(sqliteScratch(client, file, this.#variablesFor(file)));
    } finally {
      removeTree(scratchFolder);
    }
  }

  async dropSetAside(keep: KeepSetAside): Promise<void> {
    await this.#keepingTime(async () => {
      removeTree(this.#options.scratchFolder);
      for (const { path } of this.#findSetAside(keep)) removeSet(path);
      const folder = besideFolder(this.#file);
      if (existsSync(folder) && readdirSync(folder).length === 0) removeTree(folder);
      await Promise.resolve();
    });
  }

  async sizeOfSetAside(keep: KeepSetAside): Promise<number> {
    const found = this.#findSetAside(keep);
    return await Promise.resolve(found.reduce((sum, { path }) => sum + sizeOfSet(path), 0));
  }

  #findSetAside({ runs, oids }: KeepSetAside): { path: string }[] {
    const kept = new Set(runs.flatMap((run) => [oldName(run), oldName(`${run}-back`)]));
    return listBeside(this.#file).filter(
      ({ name, inode }) => !kept.has(name) && !(name.startsWith('unknown-') && oids.includes(inode)),
    );
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

  /** SQLite makes and removes files beside the database, and so do we: the time of their folder stays what it was. */
  async #keepingTime<T>(work: () => Promise<T>): Promise<T> {
    const folder = dirname(this.#file);
    const timeOf = () => statSync(folder, { bigint: true, throwIfNoEntry: false })?.mtimeNs;
    const before = timeOf();
    try {
      return await work();
    } finally {
      const after = timeOf();
      if (before !== undefined && after !== undefined && before !== after)
        await this.#options.runtime.run(setTime(folder, before), { allowFailure: true });
    }
  }
}

const nothingKnown: Contents = {
  ...{ sqliteVersion: '', pageSize: 0, encoding: '', autoVacuum: 0, userVersion: 0, applicationId: 0 },
  ...{ journalMode: '', tables: [], brokenReferences: [] },
};

function heldOpen(what: string, holders: readonly Holder[]): Refusal {
  const [verb, pids] = [holders.length === 1 ? 'has' : 'have', holders.map(({ pid }) => pid).join(' ')];
  return new Refusal(
    `cannot ${what}: ${describeHolders(holders)} ${verb} the database open, and would write into it unseen`,
    `stop it (kill ${pids}), then try again`,
  );
}

/** Whose it is, and who may do what with it; durable. */
function giveAttributes(path: string, { uid, gid, mode }: SqliteFacts): void {
  const now = statSync(path);
  // Only root gives files away; who owns it already need not.
  if (now.uid !== uid || now.gid !== gid) chownSync(path, uid, gid);
  chmodSync(path, mode);
  const descriptor = openSync(path, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
}

/** @throws Refusal for what another engine made */
function ofSqlite(facts: DatabaseFacts): SqliteFacts {
  if (facts.engine === 'sqlite') return facts;
  throw new Refusal(
    'the snapshot holds a database of PostgreSQL, and this appliance has one of SQLite',
    'choose a snapshot that was made since: ./run.sh backup list',
  );
}
