import type {
  AppliedMigration,
  RecordedDataMigration,
  SchemaInspection,
  TableDescription,
} from '../engine.ts';
import type { Contents } from './contents.ts';

/** What is asked of SQLite: see program.ts. */
export interface Request {
  readonly operation: keyof Answers;
  readonly file: string;
  /** The other file, where two are concerned. */
  readonly to?: string;
  readonly sql?: string;
  readonly table?: string;
  readonly migrations?: readonly { readonly name: string; readonly sql: string }[];
  /** How long somebody else's lock is waited for. */
  readonly busyMs?: number;
}

export interface Answers {
  readonly contents: Contents;
  readonly properties: Contents;
  readonly 'back-up': Contents;
  readonly check: Contents;
  readonly copy: null;
  readonly 'quick-check': null;
  readonly create: null;
  readonly 'schema-migrations': AppliedMigration[];
  readonly 'data-migrations': RecordedDataMigration[] | null;
  readonly inspect: SchemaInspection;
  readonly table: TableDescription | null;
  readonly 'schema-text': string;
  /** On a copy: see `confine`. */
  readonly execute: null;
  readonly revert: null;
  readonly changes: { table: string; rows: number }[];
}

/** The exit code where somebody else's lock was waited for in vain (EX_TEMPFAIL). */
export const exitBusy = 75;

/** The exit code where there was no room, which SQLite calls an I/O error as often as not (EX_IOERR). */
export const exitFull = 74;

/** The exit code where the file is none of SQLite's, or is damaged (EX_DATAERR). */
export const exitDamaged = 65;
