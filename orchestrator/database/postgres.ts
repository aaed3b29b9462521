import { existsSync, rmSync } from 'node:fs';
import { removeDurably } from '../lib/atomic-file.ts';
import { HoldfastError, messageOf, NotRestoredError, Refusal } from '../lib/errors.ts';
import { shellWord } from '../lib/shell-word.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { parseMajorVersion } from '../tools/postgres.ts';
import { PostgresClient } from './client.ts';
import { quoteIdentifier } from './connection.ts';
import type {
  AppliedMigration,
  Database,
  DatabaseFacts,
  DatabaseGlance,
  KeepSetAside,
  PostgresFacts,
  RecordedDataMigration,
  Replacement,
  SchemaInspection,
  TableDescription,
} from './engine.ts';
import { compareContents, readFacts, readProperties } from './facts.ts';
import { announcedName, announceFence, databaseExists, renameDatabase, windowName } from './fence.ts';
import { inspectSchema, readDataMigrations, readSchemaMigrations, revertSql } from './recorded-migrations.ts';
import { describeTable } from './describe-table.ts';
import { readRoles, verifyRolesExist } from './roles.ts';
import { scratchDatabase, type ScratchDatabase } from './scratch.ts';
import type { PostgresServer } from './server.ts';
import { endSessions } from './sessions.ts';
import {
  createReplacement,
  dropDatabase,
  dropSetAside,
  findNames,
  findSetAside,
  keepOf,
  markOf,
  reopen,
  replacementName,
  swapDatabases,
} from './swap.ts';
import { dumpSchema, proveWayBack } from './way-back.ts';

/** PostgreSQL behind the `Database` interface, on a server of our own or somebody else's. */
export class PostgresDatabase implements Database {
  readonly engine = 'postgresql';
  readonly isShared: boolean = false;
  readonly reserveFolder: string;
  readonly #server: PostgresServer;
  readonly #runtime: Runtime;
  readonly #fenceFile: string;
  #isDumpNewEnough = false;

  /**
   * @param places.fenceFile where a fence by name is announced
   * @param places.reserveFolder see `Database`
   */
  constructor(
    server: PostgresServer,
    runtime: Runtime,
    places: { readonly fenceFile: string; readonly reserveFolder: string },
  ) {
    this.#fenceFile = places.fenceFile;
    this.reserveFolder = places.reserveFolder;
    this.#server = server;
    this.#runtime = runtime;
  }

  async ensureRunning(): Promise<void> {
    await this.#server.ensureRunning();
    // Our own has just answered, and is of one version for life, as the programs are that are made for it.
    if (this.#server.isOurs && this.#isDumpNewEnough) return;
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
      this.#isDumpNewEnough = true;
    } catch (error) {
      if (error instanceof HoldfastError) throw error;
      throw new Refusal(
        `cannot reach the database: ${messageOf(error)}`,
        'start the database server, then try again',
        error,
      );
    }
  }

  async glance(): Promise<DatabaseGlance> {
    return await this.#server.glance();
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  async environment(): Promise<Record<string, string>> {
    return await this.#server.variables('service', undefined);
  }

  async windowEnvironment(runId: string): Promise<Record<string, string>> {
    const [name, configured] = [await this.#liveName(), await this.#name()];
    const variables = await this.#server.variables('window', name === configured ? undefined : name);
    return { ...variables, PGAPPNAME: `holdfast:${runId}` };
  }

  async describe(): Promise<PostgresFacts> {
    return await readFacts(await this.#live(), await this.#name());
  }

  async describeProperties(): Promise<PostgresFacts> {
    return { ...(await readProperties(await this.#live())), name: await this.#name() };
  }

  async sizeBytes(): Promise<number> {
    return await (await this.#live()).query<number>('select pg_database_size(current_database());');
  }

  async roomForRestore(): Promise<{ bytes: number; files: number } | undefined> {
    if (!this.#server.isOurs) return undefined;
    // A restore writes its rows twice, once into the log; the log is cut back when it reaches max_wal_size. The rest
    // of the half is what building the biggest index takes meanwhile.
    return await (
      await this.#live()
    ).query<{ bytes: number; files: number }>(
      `with measured as (select pg_database_size(current_database()) * 1.5 as bytes)
       select json_build_object('bytes', ceil(bytes + least(bytes, pg_size_bytes(current_setting('max_wal_size')))),
         'files', (select 3 * count(*) from pg_class)) from measured;`,
    );
  }

  async proveWayBack(scratchFile: string): Promise<void> {
    await proveWayBack(await this.#maintenance(), await this.#live(), await this.#name(), scratchFile);
  }

  /** That it can be read is proven, and no more: for a database that no restore touches. */
  protected async proveReadable(scratchFile: string): Promise<void> {
    try {
      await dumpSchema(await this.#live(), scratchFile);
    } finally {
      rmSync(scratchFile, { force: true });
    }
  }

  async fence(runId: string): Promise<string | undefined> {
    const name = await this.#name();
    const client = await this.#maintenance();
    await this.#server.fence();
    if (this.#server.fenceBy === 'name') {
      const other = windowName(markOf(name, runId));
      announceFence(this.#fenceFile, other);
      await renameDatabase(client, name, other);
    } else {
      await endSessions(client, name);
    }
    return this.#server.fenceBy === 'nothing'
      ? 'the database is not fenced (database.fence: none): what other programs write during an update is lost if it fails'
      : undefined;
  }

  async seclude(): Promise<void> {
    await this.#server.seclude();
    await endSessions(await this.#maintenance(), await this.#liveName());
  }

  async admitServices(): Promise<void> {
    if (this.#server.fenceBy === 'name') await this.unfence();
    else await this.#server.fence();
  }

  async unfence(): Promise<void> {
    await this.#server.unfence();
    const [name, now] = [await this.#name(), await this.#liveName()];
    const client = await this.#maintenance();
    if (now !== name) await renameDatabase(client, now, name);
    await reopen(client, name);
    if (existsSync(this.#fenceFile)) removeDurably(this.#fenceFile);
  }

  async dump(file: string, signal?: AbortSignal): Promise<void> {
    await (await this.#live()).dump(file, { signal });
  }

  async dumpWithFacts(file: string, signal?: AbortSignal): Promise<PostgresFacts> {
    const facts = await this.describe();
    await this.dump(file, signal);
    return facts;
  }

  restoreCommand(dump: string): string {
    return `pg_restore --clean --if-exists --no-owner --dbname "$DATABASE_URL" ${shellWord(dump)}`;
  }

  async prepareReplacement(file: string, wanted: DatabaseFacts, runId: string): Promise<Replacement> {
    const facts = ofPostgres(wanted);
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
    await verifyRolesExist(client, facts.roles ?? []);
    const pair = await createReplacement(client, facts, markOf(facts.name, runId));
    const name = replacementName(markOf(facts.name, runId));
    const differences = await this.#fill(client, file, facts, name);
    if (differences.length > 0)
      throw new Error(`the dump did not bring everything back: ${differences.join('; ')}`);
    return pair;
  }

  /** A dump into an empty database. Returns what is not as the facts say. */
  async #fill(client: PostgresClient, file: string, facts: PostgresFacts, name: string): Promise<string[]> {
    await client.restore(file, name);
    // Statistics are not in a dump; without them the restored version would be slow for minutes.
    await client.execute('analyze;', { database: name, timeoutMs: 600_000 });
    const inside = new PostgresClient(this.#runtime, await this.#server.bin(), {
      ...(await this.#server.admin()),
      database: name,
    });
    return compareContents(facts, await readFacts(inside, facts.name));
  }

  async hasReplacement(replacement: Replacement): Promise<boolean> {
    const { replacement: name } = await findNames(await this.#maintenance(), replacement, await this.#name());
    return name !== null;
  }

  async swap(replacement: Replacement, wanted: DatabaseFacts, runId: string): Promise<void> {
    const facts = ofPostgres(wanted);
    const standIn = await this.#liveName();
    await swapDatabases(
      await this.#maintenance(),
      replacement,
      facts,
      markOf(facts.name, runId),
      standIn === facts.name ? undefined : standIn,
    );
  }

  async findLeftOver(facts: DatabaseFacts): Promise<string[]> {
    const { roles } = ofPostgres(facts);
    if (!roles) return [];
    const before = new Set(roles.map(({ name }) => name));
    const now = await readRoles(await this.#live());
    return now
      .map(({ name }) => name)
      .filter((name) => !before.has(name))
      .map(
        (role) =>
          `the role ${role} was made on the database server since the snapshot; roles belong to the server, and a restore leaves them: DROP ROLE ${quoteIdentifier(role)}; takes it away`,
      );
  }

  async adopt(facts: DatabaseFacts): Promise<PostgresFacts | undefined> {
    const there = ofPostgres(facts);
    const { name, oid, systemIdentifier } = await this.describeProperties();
    return systemIdentifier === there.systemIdentifier
      ? undefined
      : { ...there, name, oid, systemIdentifier };
  }

  async tryDump(file: string, wanted: DatabaseFacts): Promise<string[]> {
    const facts = ofPostgres(wanted);
    const client = await this.#maintenance();
    const scratch = markOf(await this.#name(), 'verify');
    try {
      await createReplacement(client, facts, scratch);
      return await this.#fill(client, file, facts, replacementName(scratch));
    } finally {
      await dropDatabase(client, replacementName(scratch));
    }
  }

  async withScratch<T>(
    work: (scratch: ScratchDatabase) => Promise<T>,
    filled?: { file: string; facts: DatabaseFacts },
  ): Promise<T> {
    const client = await this.#maintenance();
    const mark = markOf(await this.#name(), 'scratch');
    const name = replacementName(mark);
    try {
      const facts = filled ? ofPostgres(filled.facts) : await this.describeProperties();
      await createReplacement(client, facts, mark);
      // Programs come as the service's user, who owns the live one.
      await client.execute(
        `alter database ${quoteIdentifier(name)} owner to ${quoteIdentifier(facts.owner)};`,
      );
      if (filled) await client.restore(filled.file, name);
      await client.execute('analyze;', { database: name, timeoutMs: 600_000 });
      const connection = { ...(await this.#server.admin()), database: name };
      const inside = new PostgresClient(this.#runtime, await this.#server.bin(), connection);
      return await work(scratchDatabase(inside, connection, await this.#server.variables('service', name)));
    } finally {
      await dropDatabase(client, name);
    }
  }

  async dropSetAside(keep: KeepSetAside): Promise<void> {
    const name = await this.#name();
    await dropSetAside(await this.#maintenance(), name, keepOf(name, keep));
  }

  async sizeOfSetAside(keep: KeepSetAside): Promise<number> {
    const name = await this.#name();
    const found = await findSetAside(await this.#maintenance(), name, keepOf(name, keep));
    return found.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  async appliedMigrations(): Promise<AppliedMigration[]> {
    return await readSchemaMigrations(await this.#live());
  }

  async inspectSchema(): Promise<SchemaInspection> {
    return await inspectSchema(await this.#live());
  }

  async describeTable(schema: string, name: string): Promise<TableDescription | undefined> {
    return await describeTable(await this.#live(), schema, name);
  }

  async revertMigrations(migrations: readonly { name: string; sql: string }[], runId: string): Promise<void> {
    const connection = { ...(await this.#server.window()), database: await this.#liveName() };
    const client = new PostgresClient(
      this.#runtime,
      await this.#server.bin(),
      connection,
      `holdfast:${runId}`,
    );
    await client.execute(revertSql(migrations), { single: true, timeoutMs: 3_600_000 });
  }

  async dataMigrations(): Promise<RecordedDataMigration[] | undefined> {
    return await readDataMigrations(await this.#live());
  }

  async #name(): Promise<string> {
    return (await this.#server.service()).database;
  }

  /** The name that the live database goes by now: another one inside the window, where that is the fence. */
  async #liveName(): Promise<string> {
    const name = await this.#name();
    const other = announcedName(this.#fenceFile);
    if (other === undefined) return name;
    const client = await this.#maintenance();
    // The rename was announced; whether it happened, or a restore has put a database under the name, is seen here.
    return (await databaseExists(client, name)) || !(await databaseExists(client, other)) ? name : other;
  }

  async #live(): Promise<PostgresClient> {
    const connection = { ...(await this.#server.admin()), database: await this.#liveName() };
    return new PostgresClient(this.#runtime, await this.#server.bin(), connection);
  }

  async #maintenance(): Promise<PostgresClient> {
    return new PostgresClient(this.#runtime, await this.#server.bin(), {
      ...(await this.#server.admin()),
      database: 'postgres',
    });
  }
}

/** @throws Refusal for what another engine made */
function ofPostgres(facts: DatabaseFacts): PostgresFacts {
  if (facts.engine === 'postgresql') return facts;
  throw new Refusal(
    'the snapshot holds a database of SQLite, and this appliance has one of PostgreSQL',
    'choose a snapshot that was made since: ./run.sh backup list',
  );
}
