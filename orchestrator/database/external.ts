import type { Secrets } from '../lib/secrets.ts';
import { messageOf, Refusal } from '../lib/errors.ts';
import { isReachable } from '../lib/ports.ts';
import { findPostgresBinaries } from './binaries.ts';
import { formatConnection, parseConnection, type Connection } from './connection.ts';
import type { DatabaseGlance } from './engine.ts';
import type { PostgresServer } from './server.ts';

/** `status` is not to wait for a server that is far away or gone. */
const glanceTimeoutMs = 200;

/** A database on a server that somebody else runs; where it is stands in the appliance's environment. */
export class ExternalServer implements PostgresServer {
  readonly isOurs = false;
  readonly fenceBy: 'name' | 'nothing';
  readonly #variables: readonly string[];
  readonly #adminVariable: string | undefined;
  readonly #environment: () => Record<string, string>;
  readonly #secrets: Secrets;

  constructor(options: {
    variables: readonly string[];
    adminVariable: string | undefined;
    fence: 'auto' | 'none';
    environment: () => Record<string, string>;
    secrets: Secrets;
  }) {
    this.fenceBy = options.fence === 'auto' ? 'name' : 'nothing';
    this.#variables = options.variables;
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

  async glance(): Promise<DatabaseGlance> {
    let connection: Connection;
    try {
      connection = await this.service();
    } catch (error) {
      return { kind: 'external', ok: false, text: messageOf(error) };
    }
    const { host, port } = connection;
    const onSocket = host.startsWith('/');
    const at = onSocket ? host : `${host}:${port}`;
    const ok = await isReachable(
      onSocket ? { path: `${host}/.s.PGSQL.${port}` } : { host, port },
      glanceTimeoutMs,
    );
    return { kind: 'external', ok, host: at, text: ok ? `reachable at ${at}` : `does not answer at ${at}` };
  }

  async stop(): Promise<void> {}

  async service(): Promise<Connection> {
    return await Promise.resolve(this.#read(this.#variables[0] ?? 'DATABASE_URL'));
  }

  async window(): Promise<Connection> {
    return await this.service();
  }

  async admin(): Promise<Connection> {
    const service = await this.service();
    return this.#adminVariable === undefined
      ? service
      : { ...this.#read(this.#adminVariable), database: service.database, parameters: service.parameters };
  }

  /** Each URL as it stands in the environment, the database's name replaced where it has another for the window. */
  async variables(
    _side: 'service' | 'window',
    database: string | undefined,
  ): Promise<Record<string, string>> {
    const urls = this.#variables.map((name): [string, string] => {
      const connection = this.#read(name);
      return [name, database === undefined ? this.#url(name) : formatConnection({ ...connection, database })];
    });
    return await Promise.resolve(Object.fromEntries(urls));
  }

  async fence(): Promise<void> {}

  async seclude(): Promise<void> {}

  async unfence(): Promise<void> {}

  #read(variable: string): Connection {
    const connection = parseConnection(this.#url(variable), variable);
    this.#secrets.add(connection.password);
    return connection;
  }

  #url(variable: string): string {
    const url = this.#environment()[variable] ?? process.env[variable];
    if (url === undefined || url === '') {
      throw new Refusal(
        `cannot reach the database: ${variable} is not set`,
        `set ${variable} in one of env.files`,
      );
    }
    this.#secrets.add(url);
    return url;
  }
}
