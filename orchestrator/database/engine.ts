import type { Beyond } from './beyond.ts';
import type { DatabaseFacts } from './database-facts.ts';
import type { ScratchDatabase } from './scratch.ts';

export type Engine = 'postgresql' | 'sqlite';

/**
 * A database behind which one engine stands: PostgreSQL, or SQLite. Commands and steps know this interface, never the
 * engine.
 */
export interface Database {
  readonly engine: Engine;

  /** Where room for a second copy of it is set aside; a folder that is ours alone, and may not be there yet. */
  readonly reserveFolder: string;

  /** Where its storage copies it at no cost. */
  readonly copies?: Copies;

  /** Another environment works on it as well: it is never fenced and never restored. */
  readonly isShared?: boolean;

  /** Makes sure that it can be reached, starting the server where it is ours. Throws Refusal with the fix. */
  ensureRunning(): Promise<void>;

  /** A look from outside, quick, without starting anything: is it there? Never throws. */
  glance(): Promise<DatabaseGlance>;

  /** Stops the server where it is ours; nothing otherwise. */
  stop(): Promise<void>;

  /** The variables with which services and builds reach it, while no window is open. */
  environment(): Promise<Record<string, string>>;

  /** The same inside a window, past the fence. `runId` marks the sessions, so that recovery can end them. */
  windowEnvironment(runId: string): Promise<Record<string, string>>;

  /** Everything a manifest says of it. Slow on big tables: it counts rows. */
  describe(): Promise<DatabaseFacts>;

  /** The same without what is in it: quick, and true while others write. */
  describeProperties(): Promise<DatabaseFacts>;

  /** Its size on disk, for space checks, in bytes. */
  sizeBytes(): Promise<number>;

  /** What `prepareReplacement` takes on this machine's disk at worst; undefined where the server is not ours. */
  roomForRestore(): Promise<{ readonly bytes: number; readonly files: number } | undefined>;

  /**
   * Proves before anything is touched that a restore can be walked: rights, tools, nothing that a swap would break.
   * Leaves nothing behind. Throws Refusal with the fix.
   *
   * @param scratchFile where a small dump may lie meanwhile
   */
  proveWayBack(scratchFile: string): Promise<void>;

  /** Keeps everybody else out from now on, and ends who is in. What it cannot keep out is returned as a warning. */
  fence(runId: string): Promise<string | undefined>;

  /**
   * Before a restore: keeps out what a killed run may have left behind as well, and ends every session that is open.
   * `admitServices` and `unfence` lift it. May be run twice.
   */
  seclude(): Promise<void>;

  /** Lets the services of the new version reach it; outsiders only where the two cannot be told apart. May be run twice. */
  admitServices(): Promise<void>;

  /** Lets everybody in again. May be run twice. */
  unfence(): Promise<void>;

  /** Writes a dump, whole and durable, or throws. */
  dump(file: string, signal?: AbortSignal): Promise<void>;

  /** The same, for a snapshot: with everything that a manifest says of it (`describe`). */
  dumpWithFacts(file: string, signal?: AbortSignal): Promise<DatabaseFacts>;

  /**
   * Makes a new database from a dump, beside the live one, and compares what is in it with the facts while nobody else
   * knows it. A half-made one of the same run is dropped first: may be run twice. Resolves to who is who, to be written
   * to the journal before the swap.
   */
  prepareReplacement(file: string, facts: DatabaseFacts, runId: string): Promise<Replacement>;

  /** Whether a replacement that was announced is still there; if not, another one is to be made. */
  hasReplacement(replacement: Replacement): Promise<boolean>;

  /**
   * Puts the replacement into the live one's place, with all that belongs to a database but is not in a dump. Decides by
   * what it is and not by its name (`Replacement`) what is done already: may be run twice, and after a kill at any
   * instant. What was live is kept under another name.
   */
  swap(replacement: Replacement, facts: DatabaseFacts, runId: string): Promise<void>;

  /**
   * Outside of a run, before what needs the database for itself.
   *
   * @param what cannot be done otherwise, in words
   * @throws Refusal that names who has it open, where neither the engine nor we can end them
   */
  verifyAlone(what: string): Promise<void>;

  /**
   * Outside of a run: puts a dump in the live one's place, whole or not at all; who is connected is ended, or refused as by
   * `verifyAlone`. What was live is set aside until the next `dropSetAside`.
   */
  replaceBy(file: string, facts: DatabaseFacts, runId: string): Promise<void>;

  /** What is beyond a restore: beside the database, and changed since these facts were taken. */
  findBeyond(facts: DatabaseFacts): Promise<Beyond>;

  /**
   * What a dump that was made elsewhere would be here, to be tried (`tryDump`) before it is believed.
   *
   * @returns the facts of a restore here; undefined where they are of this very place
   * @throws Refusal where it is a dump of another engine
   */
  adopt(facts: DatabaseFacts): Promise<DatabaseFacts | undefined>;

  /**
   * Restores a dump into a scratch database and compares what is in it with the facts; then drops it. Killed, it leaves
   * one that the next call or `dropSetAside` drops. The live database is not touched.
   *
   * @returns what differs, as lines for people; empty when nothing does
   * @throws Error with the engine's words if the dump cannot be restored
   */
  tryDump(file: string, facts: DatabaseFacts): Promise<string[]>;

  /**
   * Makes a database to try things on, beside the live one, which is not touched; drops it when the work is over.
   * Killed, it leaves one that the next call or `dropSetAside` drops.
   *
   * @param filled from a dump, with the properties of what it was made of; empty where absent
   * @throws Error with the engine's words if the dump cannot be restored
   */
  withScratch<T>(
    work: (scratch: ScratchDatabase) => Promise<T>,
    filled?: { readonly file: string; readonly facts: DatabaseFacts },
  ): Promise<T>;

  /**
   * Drops what restores set aside and what they left half-made, except for these runs. An unknown database that was
   * found under the live name stays as long as one of these is its own (`identityOf`).
   */
  dropSetAside(keep: KeepSetAside): Promise<void>;

  /** What `dropSetAside` would drop, in bytes. */
  sizeOfSetAside(keep: KeepSetAside): Promise<number>;

  /** The newest schema migration that is applied, failed ones too; empty where there is no migrations table. */
  appliedMigrations(): Promise<AppliedMigration[]>;

  /** What `migrate status` and `migrate lint` ask beside it. Looks only. */
  inspectSchema(): Promise<SchemaInspection>;

  /**
   * Inside a window: takes schema migrations back, as the service's user, with Prisma's record of them, all in one
   * transaction.
   *
   * @throws CommandError with the engine's words; then nothing was changed
   */
  revertMigrations(
    migrations: readonly { readonly name: string; readonly sql: string }[],
    runId: string,
  ): Promise<void>;

  /** A table that `inspectSchema` names. Undefined where there is none. Looks only. */
  describeTable(schema: string, name: string): Promise<TableDescription | undefined>;

  /** What the data-migration engine's own table says; undefined where there is none. */
  dataMigrations(): Promise<RecordedDataMigration[] | undefined>;
}

/** What a data migration is on one appliance, in the words of the data-migration engine. */
export type DataMigrationState = 'PENDING' | 'RUNNING' | 'COMPLETED' | 'NOT_NEEDED' | 'FAILED' | 'SKIPPED';

export interface RecordedDataMigration {
  readonly id: string;
  readonly state: DataMigrationState;
  /** Whether registry.json was seen to hold it, durably. */
  readonly exported: boolean;
}

/**
 * Copies of the whole database that its storage makes at no cost, by name. A snapshot that names one is restored in seconds
 * from it, whatever its size.
 */
export interface Copies {
  /** Whether one can be made or put back now: a copy holds all that is on the server, so nobody else's database may be. */
  areUsable(): Promise<boolean>;

  has(name: string): Promise<boolean>;

  list(): Promise<string[]>;

  /** Inside a window: stops the server, copies, and starts it again. Resolves to the copy's name. May be run twice. */
  take(snapshot: string): Promise<string>;

  /**
   * Puts a copy of the copy into the live one's place, lets nobody in, and compares what is in it with the facts. What was
   * live is set aside until the next `dropSetAside`. May be run twice, and after a kill at any instant.
   *
   * @throws Error with what differs
   */
  putBack(name: string, facts: DatabaseFacts, mark: string): Promise<void>;

  /** Puts back what `putBack` with this mark set aside, as it was; nothing where it did not come to that. May be run twice. */
  takeBack(mark: string): Promise<void>;

  /** Writes a dump of it, whole and durable, or throws. The live database serves meanwhile. */
  dump(name: string, facts: DatabaseFacts, file: string, signal?: AbortSignal): Promise<void>;
}

/** What `dropSetAside` leaves alone. */
export interface KeepSetAside {
  readonly runs: readonly string[];
  /** Snapshots whose copies stay. */
  readonly snapshots: readonly string[];
  /** Databases by what they are: see `identityOf`. */
  readonly oids: readonly number[];
}

/** What `status` says of a database. */
export interface DatabaseGlance {
  readonly kind: 'embedded' | 'external' | 'file';
  /** Whether it runs, or something answers where it should be. */
  readonly ok: boolean;
  /** For people; without secrets. */
  readonly text: string;
  /** The embedded server's major version, once it was made. */
  readonly version?: string;
  /** Where an external one is: `HOST:PORT`, or a socket's path. */
  readonly host?: string;
}

/** A row of `_prisma_migrations`; a migration that was rolled back and applied again has several. */
export interface AppliedMigration {
  readonly name: string;
  readonly finished: boolean;
  readonly rolledBack: boolean;
  /** SHA-256 of the file as it was applied. */
  readonly checksum: string;
  /** When it began, as ISO 8601. */
  readonly startedAt: string;
  /** What the database said when it failed. */
  readonly log: string | null;
}

/** What is in a database, as far as schema migrations go. */
export interface SchemaInspection {
  /** Whether Prisma's own table is there. */
  readonly hasMigrationsTable: boolean;
  /** User tables, with an estimate of their rows, exact for small ones. */
  readonly tables: readonly {
    readonly schema: string;
    readonly name: string;
    readonly rows: number;
    readonly bytes: number;
    readonly indexes: number;
  }[];
  /** Who holds the lock that Prisma takes while it migrates, for people. */
  readonly lockHolders: readonly string[];
}

/** One table, for people who look into it. */
export interface TableDescription {
  readonly columns: readonly {
    readonly name: string;
    readonly type: string;
    readonly nullable: boolean;
    readonly default: string | null;
  }[];
  readonly indexes: readonly { readonly definition: string; readonly bytes: number }[];
  readonly constraints: readonly { readonly name: string; readonly definition: string }[];
}

/** Who is who in a swap, by OID or inode: names say nothing after a crash. 0 for none. */
export interface Replacement {
  readonly live: number;
  readonly replacement: number;
}

/** The environment variables that would let a build reach the database, taken out of builds that must not. */
export const databaseVariables = ['DATABASE_URL', 'DIRECT_URL', 'DIRECT_DATABASE_URL', 'SHADOW_DATABASE_URL'];
