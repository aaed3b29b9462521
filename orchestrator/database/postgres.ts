import { HoldfastError, messageOf, NotRestoredError, Refusal } from '../lib/errors.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { parseMajorVersion } from '../tools/postgres.ts';
import { PostgresClient } from './client.ts';
import { formatConnection, quoteLiteral, type Connection } from './connection.ts';
import type { AppliedMigration, Database, DatabaseFacts, Replacement } from './engine.ts';
import { readFacts } from './facts.ts';
import type { PostgresServer } from './server.ts';
import { createReplacement, dropSetAside, reopen, replacementName, swapDatabases } from './swap.ts';
import { proveWayBack } from './way-back.ts';

/** PostgreSQL behind the `Database` interface, on a server of our own or somebody else's. */
export class PostgresDatabase implements Database {
  readonly engine = 'postgresql';
  readonly #server: PostgresServer;
  readonly #runtime: Runtime;

  constructor(server: PostgresServer, runtime: Runtime) {
    this.#server = server;
    this.#runtime = runtime;
  }

  async ensureRunning(): Promise<void> {
    await this.#server.ensureRunning();
    try {
      const server = await (
        await this.#maintenance()
      ).query<number>("select current_setting('server_version_num')::int / 10000;");
      const { stdout } = await this.#runtime.run({
        file: `${await this.#server.bin()}/pg_dump`,
        args: ['--version'],
      });
      const client = parseMajorVersion(stdout);
      if (client < server) {
        throw new Refusal(
          `cannot back up the database: pg_dump is version ${client}, the server is version ${server}`,
          `sudo apt-get install -y postgresql-client-${server}`,
        );
      }
    } catch (error) {
      if (error instanceof HoldfastError) throw error;
      throw new Refusal(
        `cannot reach the database: ${messageOf(error)}`,
        'start the database server, then try again',
        error,
      );
    }
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  async environment(): Promise<Record<string, string>> {
    return this.#variables(await this.#server.service());
  }

  async windowEnvironment(runId: string): Promise<Record<string, string>> {
    return { ...this.#variables(await this.#server.window()), PGAPPNAME: `holdfast:${runId}` };
  }

  #variables(connection: Connection): Record<string, string> {
    const url = formatConnection(connection);
    return Object.fromEntries(this.#server.variables.map((name) => [name, url]));
  }

  async describe(): Promise<DatabaseFacts> {
    return await readFacts(await this.#live());
  }

  async sizeBytes(): Promise<number> {
    return await (await this.#live()).query<number>('select pg_database_size(current_database());');
  }

  async proveWayBack(scratchFile: string): Promise<void> {
    await proveWayBack(await this.#maintenance(), await this.#live(), await this.#name(), scratchFile);
  }

  async fence(): Promise<string | undefined> {
    const warning = await this.#server.fence();
    const client = await this.#maintenance();
    await client.execute(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = ${quoteLiteral(await this.#name())} and pid <> pg_backend_pid();`,
    );
    return warning;
  }

  async unfence(): Promise<void> {
    await this.#server.unfence();
    await reopen(await this.#maintenance(), await this.#name());
  }

  async dump(file: string, signal?: AbortSignal): Promise<void> {
    await (await this.#live()).dump(file, { signal });
  }

  async prepareReplacement(file: string, facts: DatabaseFacts, runId: string): Promise<Replacement> {
    const client = await this.#maintenance();
    const here = await client.query<string>(
      'select to_json(system_identifier::text) from pg_control_system();',
    );
    if (here !== facts.systemIdentifier) {
      throw new NotRestoredError(
        'the snapshot was made on another database server than the one that answers now',
        {
          next: 'make the former server answer again; nothing was touched',
        },
      );
    }
    const pair = await createReplacement(client, facts, runId);
    await client.restore(file, replacementName(runId));
    // Statistics are not in a dump; without them the restored version would be slow for minutes.
    await client.execute('analyze;', { database: replacementName(runId), timeoutMs: 600_000 });
    return pair;
  }

  async swap(replacement: Replacement, facts: DatabaseFacts, runId: string): Promise<void> {
    await swapDatabases(await this.#maintenance(), replacement, facts, runId);
  }

  async dropSetAside(keepRuns: readonly string[]): Promise<void> {
    await dropSetAside(await this.#maintenance(), keepRuns);
  }

  async appliedMigrations(): Promise<AppliedMigration[]> {
    const live = await this.#live();
    const there = await live.query<boolean>("select to_json(to_regclass('_prisma_migrations') is not null);");
    if (!there) return [];
    return await live.query<AppliedMigration[]>(
      `select coalesce(json_agg(json_build_object('name', migration_name, 'finished', finished_at is not null,
         'rolledBack', rolled_back_at is not null) order by started_at, migration_name), '[]') from _prisma_migrations;`,
    );
  }

  async #name(): Promise<string> {
    return (await this.#server.service()).database;
  }

  async #live(): Promise<PostgresClient> {
    return new PostgresClient(this.#runtime, await this.#server.bin(), await this.#server.admin());
  }

  async #maintenance(): Promise<PostgresClient> {
    return new PostgresClient(this.#runtime, await this.#server.bin(), {
      ...(await this.#server.admin()),
      database: 'postgres',
    });
  }
}
