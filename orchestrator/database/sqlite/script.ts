import type { DatabaseSync } from 'node:sqlite';
import { messageOf } from '../../lib/errors.ts';
import { tableNames } from './tables.ts';

/** Rows that refer to none, by the table they are in. */
export interface BrokenReferences {
  readonly name: string;
  /** -1 where SQLite cannot tell: the table has a foreign key that refers to what is no key. */
  readonly rows: number;
}

/**
 * Runs a script, all of it or nothing, and leaves the session as it was.
 *
 * SQLite itself runs each statement for itself, and Prisma's own drivers leave it at that: a failing statement leaves the
 * ones before it. Around all of it goes one transaction, in which `PRAGMA foreign_keys=OFF` does nothing, although
 * Prisma's rebuilds of tables count on it: with foreign keys on, the DROP TABLE of a rebuild deletes what refers to the
 * table. Hence a script that says it runs without foreign keys from before its transaction, and rows that refer to none
 * only since then take it back, as "Making Other Kinds Of Table Schema Changes" (sqlite.org/lang_altertable.html) has it.
 *
 * A script of one statement runs as it is, since VACUUM and PRAGMA journal_mode want no transaction; so does one with
 * BEGIN and COMMIT of its own, which means what SQLite says it means. One that leaves its transaction open is rolled
 * back and fails.
 *
 * @throws Error with SQLite's words
 */
export function runScript(database: DatabaseSync, script: string): void {
  const bare = withoutTexts(script);
  const isOwn = hasOwnTransaction(script);
  if (isOwn || bare.split(';').filter((part) => part.trim() !== '').length < 2) {
    runAsItIs(database, script);
    return;
  }
  const had = pragma(database, 'foreign_keys') === 1;
  const without = had && foreignKeysOff.test(bare);
  if (without) database.exec('PRAGMA foreign_keys=OFF');
  try {
    const before = without ? findBrokenReferences(database) : [];
    database.exec('BEGIN IMMEDIATE');
    try {
      database.exec(script);
      if (without) verifyReferences(before, findBrokenReferences(database));
      database.exec('COMMIT');
    } catch (error) {
      // A full disk, or a constraint that says so, has rolled it back already.
      if (database.isTransaction) database.exec('ROLLBACK');
      throw error;
    }
  } finally {
    database.exec(`PRAGMA foreign_keys=${had ? 'ON' : 'OFF'}`);
  }
}

function runAsItIs(database: DatabaseSync, script: string): void {
  const had = pragma(database, 'foreign_keys') === 1;
  try {
    database.exec(script);
    if (database.isTransaction)
      throw new Error('the script begins a transaction and does not end it; it was rolled back');
  } finally {
    if (database.isTransaction) database.exec('ROLLBACK');
    database.exec(`PRAGMA foreign_keys=${had ? 'ON' : 'OFF'}`);
  }
}

/** At the beginning of a statement; a trigger's BEGIN stands within one, and its END is no word of a transaction. */
const ownTransaction = /(?:^|;)\s*(?:BEGIN|COMMIT|ROLLBACK|END\s+TRANSACTION)\b/i;
/** Whether a script begins or ends a transaction by itself. */
export function hasOwnTransaction(script: string): boolean {
  return ownTransaction.test(withoutTexts(script));
}

const foreignKeysOff = /(?:^|;)\s*PRAGMA\s+(?:\w+\s*\.\s*)?foreign_keys\s*(?:=|\()\s*(?:OFF|0|NO|FALSE)\b/i;

/**
 * The script without comments, and without what stands in quotes: what is left is words and semicolons. Words that stand
 * in quotes by themselves are left too, since SQLite takes PRAGMA foreign_keys='OFF' as well; no statement begins with one.
 */
function withoutTexts(script: string): string {
  return script.replaceAll(
    /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*[^]*?(?:\*\/|$)/g,
    (found) => {
      if (found.startsWith('--') || found.startsWith('/*')) return ' ';
      const word = /^.(\w+).$/.exec(found)?.[1];
      return word === undefined ? "''" : ` ${word} `;
    },
  );
}

/**
 * Rows that refer to none. Table by table: a foreign key to columns that are not unique is legal as long as nobody enforces
 * it, but SQLite's check of all tables at once fails of it.
 */
export function findBrokenReferences(database: DatabaseSync): BrokenReferences[] {
  const check = database.prepare('select count(*) as rows from pragma_foreign_key_check(?)');
  const rowsOf = (name: string) => {
    try {
      return Number(check.get(name)?.['rows']);
    } catch (error) {
      if (!messageOf(error).includes('foreign key mismatch')) throw error;
      return -1;
    }
  };
  return tableNames(database)
    .map((name) => ({ name, rows: rowsOf(name) }))
    .filter(({ rows }) => rows !== 0);
}

function verifyReferences(before: readonly BrokenReferences[], after: readonly BrokenReferences[]): void {
  const was = new Map(before.map(({ name, rows }) => [name, rows]));
  const mismatched = after.find(({ name, rows }) => rows === -1 && was.get(name) !== -1);
  if (mismatched)
    throw new Error(
      `foreign key mismatch: afterwards ${mismatched.name} refers to what is no key, neither a primary one nor unique`,
    );
  // How many there were before is not known where SQLite could not tell.
  const worse = after.filter(({ name, rows }) => was.get(name) !== -1 && rows > (was.get(name) ?? 0));
  if (worse.length === 0) return;
  const list = worse.map(({ name, rows }) => `${rows - (was.get(name) ?? 0)} in ${name}`).join(', ');
  throw new Error(`FOREIGN KEY constraint failed: afterwards rows would refer to none: ${list}`);
}

export function pragma(database: DatabaseSync, name: string): unknown {
  return Object.values(database.prepare(`pragma ${name}`).get() ?? {})[0];
}
