import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { messageOf } from '../../lib/errors.ts';
import { countChanges } from './changes.ts';
import { confine } from './confine.ts';
import { checkSealed, quickCheck, readContents, readProperties } from './contents.ts';
import { backUp, copySealed, create } from './copies.ts';
import { describeTable, inspectSchema, schemaText } from './inspection.ts';
import { readDataMigrations, readSchemaMigrations, revertMigrations } from './migrations.ts';
import { openLive } from './open.ts';
import { exitBusy, exitDamaged, exitFull, type Request } from './requests.ts';
import { runScript } from './script.ts';

/*
 * SQLite in a process of its own: `node sqlite.mjs OPERATION`, the request as JSON on standard input, the answer as JSON on
 * standard output. In ours it would stand in the way twice: it works without giving way, while a run has locks to hold and
 * signals to answer; and the kernel drops its locks as soon as anything in the same process closes the file ("How To
 * Corrupt An SQLite Database File", 2.2). A damaged file can end a process, too.
 */

async function answer({ operation, file, to, sql, table, migrations, busyMs }: Request): Promise<unknown> {
  const onLive = <T>(work: (database: DatabaseSync) => T): T => {
    const database = openLive(file, busyMs);
    try {
      return work(database);
    } finally {
      database.close();
    }
  };
  switch (operation) {
    case 'contents':
      return onLive((database) => readContents(database));
    case 'properties':
      return onLive((database) => readProperties(database, false));
    case 'back-up':
      return await backUp(file, to ?? '');
    case 'check':
      return checkSealed(file, 'the copy of the database is damaged');
    case 'copy':
      return copySealed(file, to ?? '');
    case 'quick-check':
      return quickCheck(file);
    case 'create':
      return create(file);
    case 'schema-migrations':
      return onLive(readSchemaMigrations);
    case 'data-migrations':
      return onLive(readDataMigrations) ?? null;
    case 'inspect':
      return onLive(inspectSchema);
    case 'table':
      return onLive((database) => describeTable(database, table ?? '')) ?? null;
    case 'schema-text':
      return onLive(schemaText);
    case 'execute':
      return onLive((database) => {
        confine(database);
        runScript(database, sql ?? '');
      });
    case 'revert':
      return onLive((database) => revertMigrations(database, migrations ?? []));
    case 'changes':
      return countChanges(to ?? '', file);
  }
}

/** By SQLite's primary result code: sqlite.org/rescode.html. */
function exitCodeOf(code: number, files: readonly string[]): number {
  const [busy, locked, ioError, corrupt, full, cannotOpen, notADatabase] = [5, 6, 10, 11, 13, 14, 26];
  if (code === busy || code === locked) return exitBusy;
  // Where the files of the write-ahead log cannot be made, it says no more than that the disk has an error.
  if (code === full || ((code === ioError || code === cannotOpen) && files.some(isOnFullDisk)))
    return exitFull;
  return code === corrupt || code === notADatabase ? exitDamaged : 1;
}

/** The smallest that SQLite makes beside a database in use is 32 KiB. */
function isOnFullDisk(file: string): boolean {
  const { bavail, bsize, files, ffree } = statfsSync(dirname(file));
  return bavail * bsize < 64 * 1024 || (files > 0 && ffree === 0);
}

const chunks: Buffer[] = [];
for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
let files: string[] = [];
try {
  const request = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Request;
  files = [request.file, ...(request.to === undefined ? [] : [request.to])];
  process.stdout.write(JSON.stringify((await answer(request)) ?? null));
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0;
  process.exitCode = exitCodeOf(code, files);
}
