import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import type { Appliance } from '../../orchestrator/appliance/appliance.ts';
import { administrator, readCredentials } from '../../orchestrator/database/cluster.ts';
import { formatConnection } from '../../orchestrator/database/connection.ts';
import { sharedSocketFolder } from '../../orchestrator/database/socket-folder.ts';
import type { Engine } from './releases.ts';
import { sparingStatements } from './sparing-server.ts';
import { sqliteRows } from './sqlite-state.ts';

/** The ledger's database, as its administrator reaches it. */
export class LedgerDatabase {
  readonly #open: () => Appliance;
  readonly #externalUrl: string | undefined;

  /** @param externalUrl how the administrator reaches a server that Holdfast does not run */
  constructor(open: () => Appliance, externalUrl?: string) {
    this.#open = open;
    this.#externalUrl = externalUrl;
  }

  get engine(): Engine | undefined {
    return this.#open().database?.engine;
  }

  /** The file of SQLite. */
  get file(): string {
    return join(this.#open().directory, 'data/ledger.db');
  }

  /** The rows that a query yields. */
  async rows(sql: string): Promise<Record<string, unknown>[]> {
    if (this.engine === 'sqlite') return sqliteRows(this.file, sql);
    const client = new Client({ connectionString: this.adminUrl() });
    // A server that dies under it is told by the query.
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  adminUrl(): string {
    if (this.#externalUrl !== undefined) return this.#externalUrl;
    const { port, adminPassword: password } = this.#credentials();
    const { config, state } = this.#open();
    const host = config.runtime === 'lxd' ? sharedSocketFolder(join(state.postgres, 'socket')) : '127.0.0.1';
    return formatConnection({
      ...{ host, port, user: administrator, password, database: 'ledger', parameters: {} },
    });
  }

  /** Gives a database of PostgreSQL properties that are not the usual ones. */
  async makeUnusual(): Promise<void> {
    await this.rows(`
      create role auditor;
      comment on database ledger is 'the books';
      alter database ledger set work_mem to '5MB';
      alter role app in database ledger set search_path to public, pg_temp;
      alter database ledger with connection limit 40;
      grant connect, temporary on database ledger to auditor with grant option;
      grant select on accounts to auditor;`);
  }

  /** Takes work from the embedded server that no test is about. */
  async spare(): Promise<void> {
    for (const statement of sparingStatements(this.#credentials())) await this.rows(statement);
  }

  /**
   * Writes out all that it has. A sequence of PostgreSQL goes on up to 32 values further after a crash of the server,
   * unless it was not used since then.
   */
  async checkpoint(): Promise<void> {
    await this.rows(this.engine === 'sqlite' ? 'pragma wal_checkpoint(truncate)' : 'checkpoint');
  }

  /** Names of the scratch databases that there are. */
  async scratchDatabases(): Promise<unknown[]> {
    if (this.engine === 'sqlite') {
      const folder = join(this.#open().state.path, 'scratch-database');
      return existsSync(folder) ? [folder] : [];
    }
    const found = await this.rows("select datname from pg_database where datname like 'hf\\_new%'");
    return found.map(({ datname }) => datname);
  }

  #credentials() {
    return readCredentials(this.#open().state.postgres);
  }
}
