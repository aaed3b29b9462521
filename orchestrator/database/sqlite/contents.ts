import { closeSync, openSync, readSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import type { SqliteFacts } from '../database-facts.ts';
import { openLive, openSealed } from './open.ts';
import { findBrokenReferences, pragma } from './script.ts';
import { countRows, tableNames } from './tables.ts';

/** What SQLite itself knows of a database. */
export type Contents = Pick<
  SqliteFacts,
  | 'sqliteVersion'
  | 'pageSize'
  | 'encoding'
  | 'autoVacuum'
  | 'userVersion'
  | 'applicationId'
  | 'journalMode'
  | 'tables'
  | 'brokenReferences'
>;

/** Only what belongs to the database itself. */
export function readProperties(database: DatabaseSync, sealed: boolean): Contents {
  const number = (name: string) => Number(pragma(database, name));
  return {
    sqliteVersion: String(database.prepare('select sqlite_version() as v').get()?.['v']),
    pageSize: number('page_size'),
    encoding: String(pragma(database, 'encoding')),
    autoVacuum: number('auto_vacuum'),
    userVersion: number('user_version'),
    applicationId: number('application_id'),
    // A sealed one is opened without its log. Modes other than this one are of the session, not of the file.
    journalMode: sealed ? 'unknown' : pragma(database, 'journal_mode') === 'wal' ? 'wal' : 'delete',
    tables: [],
    brokenReferences: [],
  };
}

/** Everything that a manifest says. One transaction: while others write, it is of one moment. */
export function readContents(database: DatabaseSync, sealed = false): Contents {
  database.exec('begin');
  try {
    const tables = tableNames(database).map((name) => ({ name, rows: countRows(database, name) }));
    return {
      ...readProperties(database, sealed),
      tables,
      brokenReferences: findBrokenReferences(database).map(({ name, rows }) => ({ name, rows })),
    };
  } finally {
    database.exec('rollback');
  }
}

/** Reads all of a copy. Throws Error that names what is damaged. */
export function checkSealed(file: string, otherwise: string): Contents {
  const database = openSealed(file);
  try {
    const found = database
      .prepare('pragma integrity_check(20)')
      .all()
      .map((row) => String(Object.values(row)[0]));
    if (found.join() !== 'ok')
      throw new Error(`${otherwise}: ${found.slice(0, 5).join('; ').replaceAll('\n', ' ')}`);
    // The header's write version says whether a log is kept: 2 is a write-ahead log (sqlite.org/fileformat2.html).
    return { ...readContents(database, true), journalMode: headerJournalMode(file) };
  } finally {
    database.close();
  }
}

function headerJournalMode(file: string): string {
  const bytes = Buffer.alloc(20);
  const descriptor = openSync(file, 'r');
  try {
    return readSync(descriptor, bytes, 0, 20, 0) === 20 && bytes[18] === 2 ? 'wal' : 'delete';
  } finally {
    closeSync(descriptor);
  }
}

/** A look that does not take long; where it would keep writers waiting, only the schema is read. */
export function quickCheck(file: string): void {
  const database = openLive(file);
  try {
    const isWal = pragma(database, 'journal_mode') === 'wal';
    const bytes = Number(pragma(database, 'page_count')) * Number(pragma(database, 'page_size'));
    tableNames(database);
    // A reader holds writers up, but for a write-ahead log.
    if (!isWal && bytes > 64 * 1024 * 1024) return;
    const found = database
      .prepare('pragma quick_check(5)')
      .all()
      .map((row) => String(Object.values(row)[0]));
    if (found.join() !== 'ok')
      throw new Error(`the database is damaged: ${found.join('; ').replaceAll('\n', ' ')}`);
  } finally {
    database.close();
  }
}
