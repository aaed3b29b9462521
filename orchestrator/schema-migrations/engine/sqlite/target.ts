import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils';
import { companionsOf } from '../../../database/sqlite/places.ts';
import { runScript } from '../../../database/sqlite/script.ts';
import type { OnScriptError } from '../adapter.ts';
import { KnownError } from '../errors.ts';
import type { EngineTarget } from '../target.ts';
import { openSqlite, sqliteAdapter, sqliteError } from './adapter.ts';

/**
 * The file that a URL names, as Prisma's own drivers read it: what follows `file:` up to a question mark, neither decoded
 * nor resolved against anything but the working directory.
 *
 * @throws {KnownError} P1013
 */
export function parseFileUrl(url: string): string {
  const path = /^file:(?:\/\/(?=\/))?([^?]+)/.exec(url)?.[1];
  if (path === undefined)
    throw new KnownError('P1013', 'The provided database string is invalid: it names no file.');
  return path === ':memory:' ? path : resolve(path);
}

/** A database in a file. */
export class SqliteTarget implements EngineTarget {
  readonly provider = 'sqlite';
  readonly #file: string;

  constructor(url: string) {
    this.#file = parseFileUrl(url);
  }

  async connect(onScriptError: OnScriptError): Promise<SqlDriverAdapter> {
    return await Promise.resolve(sqliteAdapter(openSqlite(this.#file), this.#file, { onScriptError }));
  }

  /** In memory, where a migration history is replayed. */
  static shadow(onScriptError: OnScriptError): SqlDriverAdapter {
    return sqliteAdapter(openSqlite(':memory:'), ':memory:', { onScriptError });
  }

  async create(): Promise<string> {
    if (existsSync(this.#file))
      throw new KnownError('P1009', `Database \`${basename(this.#file)}\` already exists`);
    mkdirSync(dirname(this.#file), { recursive: true });
    openSqlite(this.#file).close();
    return await Promise.resolve(basename(this.#file));
  }

  async drop(): Promise<void> {
    for (const path of [...companionsOf(this.#file), this.#file]) rmSync(path, { force: true });
    await Promise.resolve();
  }

  async check(): Promise<void> {
    if (!existsSync(this.#file))
      throw new KnownError('P1003', `Database \`${basename(this.#file)}\` does not exist`);
    await this.#onConnection((database) => database.prepare('select count(*) from sqlite_schema').get());
  }

  async execute(script: string): Promise<void> {
    await this.#onConnection((database) => runScript(database, script));
  }

  async #onConnection(work: (database: DatabaseSync) => unknown): Promise<void> {
    const database = openSqlite(this.#file);
    try {
      work(database);
    } catch (error) {
      throw new Error(sqliteError(error, this.#file).message, { cause: error });
    } finally {
      database.close();
    }
    await Promise.resolve();
  }
}
