import { readFileSync } from 'node:fs';
import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils';
import { adapterOf, type OnScriptError } from './adapter.ts';
import type { EngineArguments } from './arguments.ts';
import { parseConnectionUrl, type ConnectionSettings } from './connection-url.ts';
import { createDatabase, dropDatabase, withConnection } from './databases.ts';
import { EngineSession } from './engine-session.ts';
import { executeScript, ScriptError } from './script.ts';
import { SqliteTarget } from './sqlite/target.ts';

/** A database that the engine is to work on, whatever stands behind it. */
export interface EngineTarget {
  readonly provider: 'postgres' | 'sqlite';
  /** Opens it for the WebAssembly engine. */
  connect(onScriptError: OnScriptError): Promise<SqlDriverAdapter>;
  /** Makes it. Resolves to its name; throws KnownError P1009 where it is there. */
  create(): Promise<string>;
  drop(): Promise<void>;
  /** Throws a KnownError that says why it cannot be reached. */
  check(): Promise<void>;
  /** Runs a script of the operator's, whole, on a session of its own. */
  execute(script: string): Promise<void>;
}

const isFile = (url: string) => url.startsWith('file:');

/** @throws {KnownError} P1013 for a URL that cannot be read */
export function targetOf(url: string): EngineTarget {
  return isFile(url) ? new SqliteTarget(url) : new PostgresTarget(parseConnectionUrl(url));
}

/** Which engine's it is, where no database need be there: by the URLs, else by what the schema files say. */
export function providerOf({ datasource, datamodels }: EngineArguments): EngineTarget['provider'] {
  const url = datasource.url ?? datasource.shadowDatabaseUrl;
  if (url !== undefined) return isFile(url) ? 'sqlite' : 'postgres';
  const texts = datamodels.map((path) => readFileSync(path, 'utf8'));
  return texts.some((text) => /^\s*provider\s*=\s*"sqlite"/m.test(text)) ? 'sqlite' : 'postgres';
}

class PostgresTarget implements EngineTarget {
  readonly provider = 'postgres';
  readonly #settings: ConnectionSettings;

  constructor(settings: ConnectionSettings) {
    this.#settings = settings;
  }

  async connect(onScriptError: OnScriptError): Promise<SqlDriverAdapter> {
    return await adapterOf(await EngineSession.open(this.#settings), { onScriptError });
  }

  async create(): Promise<string> {
    return await createDatabase(this.#settings);
  }

  async drop(): Promise<void> {
    await dropDatabase(this.#settings);
  }

  async check(): Promise<void> {
    await withConnection(this.#settings, async () => {});
  }

  async execute(script: string): Promise<void> {
    const session = await EngineSession.open(this.#settings);
    try {
      await executeScript(session, script);
    } catch (error) {
      throw error instanceof ScriptError ? new Error(error.failure.text, { cause: error }) : error;
    } finally {
      await session.end();
    }
  }
}
