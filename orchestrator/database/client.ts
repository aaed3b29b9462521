import type { CommandResult, Runtime } from '../runtime/runtime.ts';
import { pgDump, pgRestore, pgSchemaText, psql, type ClientTarget } from '../tools/postgres.ts';
import { libpqEnvironment, type Connection } from './connection.ts';

/** PostgreSQL's own client programs against one server. Every session carries the run's mark in its name. */
export class PostgresClient {
  readonly #runtime: Runtime;
  readonly #bin: string;
  readonly #connection: Connection;
  readonly #applicationName: string;

  constructor(runtime: Runtime, bin: string, connection: Connection, applicationName = 'holdfast') {
    this.#runtime = runtime;
    this.#bin = bin;
    this.#connection = connection;
    this.#applicationName = applicationName;
  }

  #target(database?: string): ClientTarget {
    const connection = database === undefined ? this.#connection : { ...this.#connection, database };
    return { bin: this.#bin, env: libpqEnvironment(connection, this.#applicationName) };
  }

  /** Runs statements; each on its own unless `single`. Throws CommandError with PostgreSQL's words. */
  async execute(
    sql: string,
    options: { database?: string; single?: boolean; timeoutMs?: number } = {},
  ): Promise<void> {
    await this.#runtime.run(psql(this.#target(options.database), sql, options));
  }

  /** Runs a query that yields one JSON value. */
  async query<T>(sql: string, options: { database?: string; timeoutMs?: number } = {}): Promise<T> {
    const { stdout } = await this.#runtime.run(psql(this.#target(options.database), sql, options));
    return JSON.parse(stdout.trim() === '' ? 'null' : stdout) as T;
  }

  async dump(
    file: string,
    options: {
      schemaOnly?: boolean;
      lockWaitMs?: number;
      database?: string;
      signal?: AbortSignal | undefined;
    } = {},
  ): Promise<CommandResult> {
    return await this.#runtime.run(pgDump(this.#target(options.database), file, options), {
      signal: options.signal,
    });
  }

  /** The schema as SQL, without owners and grants, and without the words of this one dump. */
  async schemaText(): Promise<string> {
    const { stdout } = await this.#runtime.run(pgSchemaText(this.#target()));
    // \restrict carries a random key (PostgreSQL 15.14 and later).
    return stdout.replaceAll(/^(?:--.*|\\(?:un)?restrict .*|)\n/gm, '');
  }

  async restore(file: string, database: string): Promise<CommandResult> {
    return await this.#runtime.run(pgRestore(this.#target(database), file));
  }
}
