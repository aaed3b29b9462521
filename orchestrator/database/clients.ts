import type { Runtime } from '../runtime/runtime.ts';
import { PostgresClient } from './client.ts';
import { announcedName, databaseExists } from './fence.ts';
import type { PostgresServer } from './server.ts';

/** Connections to one server and to the databases on it, each opened by its name of the moment. */
export class PostgresClients {
  readonly server: PostgresServer;
  readonly runtime: Runtime;
  readonly #fenceFile: string;

  /** @param fenceFile where a fence by name is announced */
  constructor(server: PostgresServer, runtime: Runtime, fenceFile: string) {
    this.server = server;
    this.runtime = runtime;
    this.#fenceFile = fenceFile;
  }

  /** The name that the configuration gives the database. */
  async name(): Promise<string> {
    return (await this.server.service()).database;
  }

  /** The name that the live database goes by now: another one inside the window, where that is the fence. */
  async liveName(): Promise<string> {
    const name = await this.name();
    const other = announcedName(this.#fenceFile);
    if (other === undefined) return name;
    const client = await this.maintenance();
    // The rename was announced; whether it happened, or a restore has put a database under the name, is seen here.
    return (await databaseExists(client, name)) || !(await databaseExists(client, other)) ? name : other;
  }

  /** The live database, as the administrator. */
  async live(): Promise<PostgresClient> {
    return await this.inside(await this.liveName());
  }

  /** The database that every server has, as the administrator. */
  async maintenance(): Promise<PostgresClient> {
    return await this.inside('postgres');
  }

  async inside(database: string): Promise<PostgresClient> {
    return new PostgresClient(this.runtime, await this.server.bin(), {
      ...(await this.server.admin()),
      database,
    });
  }

  /** The live database inside a window, as the service's user. */
  async window(runId: string): Promise<PostgresClient> {
    return await this.insideAsService(await this.liveName(), `holdfast:${runId}`);
  }

  /** @param applicationName the session's */
  async insideAsService(database: string, applicationName?: string): Promise<PostgresClient> {
    const connection = { ...(await this.server.window()), database };
    return new PostgresClient(this.runtime, await this.server.bin(), connection, applicationName);
  }
}
