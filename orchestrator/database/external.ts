import { Refusal } from '../lib/errors.ts';
import type { Secrets } from '../lib/secrets.ts';
import { findPostgresBinaries } from './binaries.ts';
import { parseConnection, type Connection } from './connection.ts';
import type { PostgresServer } from './server.ts';

/** A database on a server that somebody else runs; where it is stands in the appliance's environment. */
export class ExternalServer implements PostgresServer {
  readonly variables: readonly string[];
  readonly #adminVariable: string | undefined;
  readonly #environment: () => Record<string, string>;
  readonly #secrets: Secrets;

  constructor(options: {
    variables: readonly string[];
    adminVariable: string | undefined;
    environment: () => Record<string, string>;
    secrets: Secrets;
  }) {
    this.variables = options.variables;
    this.#adminVariable = options.adminVariable;
    this.#environment = options.environment;
    this.#secrets = options.secrets;
  }

  async bin(): Promise<string> {
    const found = findPostgresBinaries(['pg_dump', 'pg_restore', 'psql']);
    if (!found)
      throw new Refusal(
        'cannot find pg_dump, pg_restore and psql',
        'sudo apt-get install -y postgresql-client',
      );
    return await Promise.resolve(found);
  }

  async ensureRunning(): Promise<void> {
    await this.service();
  }

  async stop(): Promise<void> {}

  async service(): Promise<Connection> {
    return await Promise.resolve(this.#read(this.variables[0] ?? 'DATABASE_URL'));
  }

  async window(): Promise<Connection> {
    return await this.service();
  }

  async admin(): Promise<Connection> {
    const service = await this.service();
    return this.#adminVariable === undefined
      ? service
      : { ...this.#read(this.#adminVariable), database: service.database };
  }

  async fence(): Promise<string | undefined> {
    return await Promise.resolve(
      'the database is on a server of its own and is not fenced: stop cron jobs and other programs that write to it during an update',
    );
  }

  async unfence(): Promise<void> {}

  #read(variable: string): Connection {
    const url = this.#environment()[variable] ?? process.env[variable];
    if (url === undefined || url === '') {
      throw new Refusal(
        `cannot reach the database: ${variable} is not set`,
        `set ${variable} in one of env.files`,
      );
    }
    this.#secrets.add(url);
    const connection = parseConnection(url, variable);
    this.#secrets.add(connection.password);
    return connection;
  }
}
