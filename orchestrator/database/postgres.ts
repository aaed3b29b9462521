import { existsSync, rmSync } from 'node:fs';
import { removeDurably } from '../lib/atomic-file.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { findBeyond, type Beyond } from './beyond.ts';
import { PostgresClients } from './clients.ts';
import type { DatabaseFacts, PostgresFacts } from './database-facts.ts';
import { describeTable } from './describe-table.ts';
import { prepareReplacement, tryDump, withScratch } from './from-dump.ts';
import type {
  AppliedMigration,
  Database,
  DatabaseGlance,
  KeepSetAside,
  RecordedDataMigration,
  Replacement,
  SchemaInspection,
  TableDescription,
} from './engine.ts';
import { ofPostgres, readFacts, readProperties } from './facts.ts';
import { announceFence, renameDatabase, windowName } from './fence.ts';
import { puttingBack } from './properties.ts';
import { inspectSchema, readDataMigrations, readSchemaMigrations, revertSql } from './recorded-migrations.ts';
import { readRoomForRestore, verifyDumpIsNewEnough } from './requirements.ts';
import type { ScratchDatabase } from './scratch.ts';
import type { PostgresServer } from './server.ts';
import { endSessions } from './sessions.ts';
import { dropSetAside, findNames, findSetAside, keepOf, markOf, reopen, swapDatabases } from './swap.ts';
import { leavingUntouched } from './untouched.ts';
import { dumpSchema, proveWayBack } from './way-back.ts';

/** PostgreSQL behind the `Database` interface, on a server of our own or somebody else's. */
export class PostgresDatabase implements Database {
  readonly engine = 'postgresql';
  readonly isShared: boolean = false;
  readonly reserveFolder: string;
  readonly #server: PostgresServer;
  readonly #clients: PostgresClients;
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
    this.#clients = new PostgresClients(server, runtime, places.fenceFile);
  }

  async ensureRunning(): Promise<void> {
    await this.#server.ensureRunning();
    // Our own has just answered, and is of one version for life, as the programs are that are made for it.
    if (this.#server.isOurs && this.#isDumpNewEnough) return;
    await verifyDumpIsNewEnough(this.#clients);
    this.#isDumpNewEnough = true;
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
    const [name, configured] = [await this.#clients.liveName(), await this.#clients.name()];
    const variables = await this.#server.variables('window', name === configured ? undefined : name);
    return { ...variables, PGAPPNAME: `holdfast:${runId}` };
  }

  async describe(): Promise<PostgresFacts> {
    return await readFacts(await this.#clients.live(), await this.#clients.name());
  }

  async describeProperties(): Promise<PostgresFacts> {
    return { ...(await readProperties(await this.#clients.live())), name: await this.#clients.name() };
  }

  async sizeBytes(): Promise<number> {
    return await (await this.#clients.live()).query<number>('select pg_database_size(current_database());');
  }

  async roomForRestore(): Promise<{ bytes: number; files: number } | undefined> {
    if (!this.#server.isOurs) return undefined;
    return await readRoomForRestore(await this.#clients.live());
  }

  async proveWayBack(scratchFile: string): Promise<void> {
    await proveWayBack(
      await this.#clients.maintenance(),
      await this.#clients.live(),
      await this.#clients.name(),
      scratchFile,
    );
  }

  /** That it can be read is proven, and no more: for a database that no restore touches. */
  protected async proveReadable(scratchFile: string): Promise<void> {
    try {
      await dumpSchema(await this.#clients.live(), scratchFile);
    } finally {
      rmSync(scratchFile, { force: true });
    }
  }

  async fence(runId: string): Promise<string | undefined> {
    const name = await this.#clients.name();
    const client = await this.#clients.maintenance();
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
    await endSessions(await this.#clients.maintenance(), await this.#clients.liveName());
  }

  async admitServices(): Promise<void> {
    if (this.#server.fenceBy === 'name') await this.unfence();
    else await this.#server.fence();
  }

  async unfence(): Promise<void> {
    await this.#server.unfence();
    const [name, now] = [await this.#clients.name(), await this.#clients.liveName()];
    const client = await this.#clients.maintenance();
    if (now !== name) await renameDatabase(client, now, name);
    await reopen(client, name);
    if (existsSync(this.#fenceFile)) removeDurably(this.#fenceFile);
  }

  async dump(file: string, signal?: AbortSignal): Promise<void> {
    await (await this.#clients.live()).dump(file, { signal });
  }

  async dumpWithFacts(file: string, signal?: AbortSignal): Promise<PostgresFacts> {
    const facts = await this.describe();
    await this.dump(file, signal);
    return facts;
  }

  async prepareReplacement(file: string, wanted: DatabaseFacts, runId: string): Promise<Replacement> {
    return await prepareReplacement(this.#clients, file, ofPostgres(wanted), runId);
  }

  async hasReplacement(replacement: Replacement): Promise<boolean> {
    const { replacement: name } = await findNames(
      await this.#clients.maintenance(),
      replacement,
      await this.#clients.name(),
    );
    return name !== null;
  }

  async swap(replacement: Replacement, wanted: DatabaseFacts, runId: string): Promise<void> {
    const facts = ofPostgres(wanted);
    const standIn = await this.#clients.liveName();
    await swapDatabases(
      await this.#clients.maintenance(),
      replacement,
      facts,
      markOf(facts.name, runId),
      standIn === facts.name ? undefined : standIn,
    );
  }

  /** Sessions are ended where they are in the way. */
  async verifyAlone(): Promise<void> {}

  async replaceBy(file: string, facts: DatabaseFacts, runId: string): Promise<void> {
    await this.swap(await this.prepareReplacement(file, facts, runId), facts, runId);
  }

  async findBeyond(facts: DatabaseFacts): Promise<Beyond> {
    return await findBeyond(await this.#clients.live(), ofPostgres(facts));
  }

  async adopt(facts: DatabaseFacts): Promise<PostgresFacts | undefined> {
    const there = ofPostgres(facts);
    const { name, oid, systemIdentifier } = await this.describeProperties();
    return systemIdentifier === there.systemIdentifier
      ? undefined
      : { ...there, name, oid, systemIdentifier };
  }

  async tryDump(file: string, wanted: DatabaseFacts): Promise<string[]> {
    return await tryDump(this.#clients, file, ofPostgres(wanted));
  }

  async withScratch<T>(
    work: (scratch: ScratchDatabase) => Promise<T>,
    filled?: { file: string; facts: DatabaseFacts },
  ): Promise<T> {
    const facts = filled ? ofPostgres(filled.facts) : await this.describeProperties();
    const onCopy = async () => await withScratch(this.#clients, facts, filled?.file, work);
    const client = await this.#clients.maintenance();
    return await leavingUntouched(this, onCopy, this.isShared ? undefined : puttingBack(client));
  }

  async dropSetAside(keep: KeepSetAside): Promise<void> {
    const name = await this.#clients.name();
    await dropSetAside(await this.#clients.maintenance(), name, keepOf(name, keep));
  }

  async sizeOfSetAside(keep: KeepSetAside): Promise<number> {
    const name = await this.#clients.name();
    const found = await findSetAside(await this.#clients.maintenance(), name, keepOf(name, keep));
    return found.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  async appliedMigrations(): Promise<AppliedMigration[]> {
    return await readSchemaMigrations(await this.#clients.live());
  }

  async inspectSchema(): Promise<SchemaInspection> {
    return await inspectSchema(await this.#clients.live());
  }

  async describeTable(schema: string, name: string): Promise<TableDescription | undefined> {
    return await describeTable(await this.#clients.live(), schema, name);
  }

  async revertMigrations(migrations: readonly { name: string; sql: string }[], runId: string): Promise<void> {
    const client = await this.#clients.window(runId);
    await client.execute(revertSql(migrations), { single: true, timeoutMs: 3_600_000 });
  }

  async dataMigrations(): Promise<RecordedDataMigration[] | undefined> {
    return await readDataMigrations(await this.#clients.live());
  }
}
