import { statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { Refusal } from '../../lib/errors.ts';
import { formatBytes } from '../../lib/units.ts';
import type { DatabaseFacts, SqliteFacts } from '../database-facts.ts';
import type { DatabaseGlance } from '../engine.ts';
import type { Contents } from './contents.ts';

/** See `Database.glance`. */
export function glanceAt(file: string): DatabaseGlance {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat
    ? { kind: 'file', ok: true, text: `${basename(file)}, ${formatBytes(stat.size)} (SQLite)` }
    : { kind: 'file', ok: false, text: `there is no file ${file} (SQLite)` };
}

/** What a manifest says of a file with these contents; of one that is gone, who would own it. */
export function factsOf(file: string, contents: Contents): SqliteFacts {
  const none = { ino: 0, mode: 0o600, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  const { ino, mode, uid, gid } = statSync(file, { throwIfNoEntry: false }) ?? none;
  return {
    engine: 'sqlite',
    name: basename(file),
    file,
    inode: ino,
    mode: mode & 0o7777,
    uid,
    gid,
    ...contents,
  };
}

/** Of a file that SQLite cannot read, or that is gone. */
export const nothingKnown: Contents = {
  ...{ sqliteVersion: '', pageSize: 0, encoding: '', autoVacuum: 0, userVersion: 0, applicationId: 0 },
  ...{ journalMode: '', tables: [], brokenReferences: [] },
};

/** What a copy that was made of another file would be as this one; undefined where it was made of this one. */
export function factsElsewhere(there: SqliteFacts, file: string): SqliteFacts | undefined {
  if (there.file === file) return undefined;
  const here = statSync(file, { throwIfNoEntry: false });
  // Whose it is, and who may read it, is this machine's matter.
  const { uid, gid } = here ?? statSync(dirname(file));
  const mode = (here?.mode ?? 0o600) & 0o777;
  return { ...there, uid, gid, mode, file, name: basename(file), inode: here?.ino ?? 0 };
}

/** @throws Refusal for what another engine made */
export function ofSqlite(facts: DatabaseFacts): SqliteFacts {
  if (facts.engine === 'sqlite') return facts;
  throw new Refusal(
    'the snapshot holds a database of PostgreSQL, and this appliance has one of SQLite',
    'choose a snapshot that was made since: ./run.sh backup list',
  );
}
