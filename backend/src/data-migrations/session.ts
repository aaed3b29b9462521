import { Client, type Pool } from 'pg';
import { SessionPool } from './lent-session.ts';
import { asEngine } from './session-name.ts';
import { settleSession } from './session-settings.ts';

/** For sessions that stand still while a migration computes; older servers do not know all of the settings. */
export const NO_LIMITS = `SELECT set_config(name, '0', false) FROM pg_settings
  WHERE name IN ('idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`;

/** `SET CONSTRAINTS ALL DEFERRED` would defer those too that are not by default. */
export const CHECK_DEFERRED = `
  SET CONSTRAINTS ALL IMMEDIATE;
  DO $$ DECLARE names text; BEGIN
    SELECT string_agg(DISTINCT format('%I.%I', n.nspname, c.conname), ', ') INTO names
    FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
    WHERE c.condeferred AND has_schema_privilege(n.oid, 'USAGE');
    IF names IS NOT NULL THEN EXECUTE 'SET CONSTRAINTS ' || names || ' DEFERRED'; END IF;
  END $$`;

type Work<T> = () => Promise<T>;

/**
 * One session on the server on which a Prisma client can work together with us: `asPool` lends it to Prisma's adapter,
 * whose transactions become savepoints of the one that we opened. So a cursor is committed with the rows that the
 * callback changed through Prisma, and a dry run takes back whatever Prisma had committed.
 */
export class Session {
  /** The server's numbers of those of this process. */
  static readonly #open = new Set<unknown>();

  readonly client: Client;
  #depth = 0;
  #tail: Promise<unknown> = Promise.resolve();
  #isTried = false;
  /** The savepoints that would be transactions for real, where there is something that a COMMIT checks. */
  #triedLevel: number | undefined;
  #refused: Error | undefined;
  readonly #warnings = new Set<string>();

  constructor(client: Client) {
    this.client = client;
  }

  /** In a process of a migration, all of whose sessions get its name. */
  static async open(url: string): Promise<Session> {
    const client = new Client({
      connectionString: asEngine(url),
      connectionTimeoutMillis: 10_000,
      keepAlive: true,
    });
    // Told by the query that is under way, or by the next one.
    client.on('error', () => {});
    await client.connect();
    await client.query(NO_LIMITS);
    await settleSession(client, url);
    unref(client);
    Session.#open.add(pidOf(client));
    return new Session(client);
  }

  /** True for the server's number of a session that was opened here, rather than by a pool of the migration's. */
  static isOpen(pid: number): boolean {
    return Session.#open.has(pid);
  }

  get isInTransaction(): boolean {
    return this.#depth > 0;
  }

  /** Runs `work` in a transaction, or in a savepoint of the one that is open; what it throws rolls that back. */
  async transaction<T>(work: Work<T>): Promise<T> {
    const level = await this.begin();
    let result: T;
    try {
      result = await work();
    } catch (error) {
      await this.rollback(level).catch(() => {});
      throw error;
    }
    await this.commit(level);
    return result;
  }

  /** Says that a dry run opened a transaction on the client by hand: from now on all of ours are savepoints. */
  async join(): Promise<void> {
    this.#depth = 1;
    this.#isTried = true;
    const { rows } = await this.client.query('SELECT FROM pg_constraint WHERE condeferrable LIMIT 1');
    if (rows.length > 0) this.#triedLevel = 1;
  }

  /** True when everything is taken back at the end. */
  get isTried(): boolean {
    return this.#isTried;
  }

  /** Remembers what the migration was refused: it may catch the error, and is wrong all the same. */
  refuse(error: Error): Error {
    this.#refused ??= error;
    return error;
  }

  get refused(): Error | undefined {
    return this.#refused;
  }

  /** For whoever reads the dry run; the same one is told once. */
  warn(message: string): void {
    this.#warnings.add(message);
  }

  get warnings(): readonly string[] {
    return [...this.#warnings];
  }

  async begin(): Promise<number> {
    const level = this.#depth;
    await this.client.query(level === 0 ? 'BEGIN' : `SAVEPOINT holdfast_${level}`);
    this.#depth = level + 1;
    return level;
  }

  async commit(level: number): Promise<void> {
    if (level === this.#triedLevel) await this.#checkDeferred(level);
    this.#depth = level;
    await this.client.query(level === 0 ? 'COMMIT' : `RELEASE SAVEPOINT holdfast_${level}`);
  }

  /** What a COMMIT would check at this place, and leaves to the next one; what it finds rolls the savepoint back. */
  async #checkDeferred(level: number): Promise<void> {
    try {
      await this.client.query(CHECK_DEFERRED);
    } catch (error) {
      await this.rollback(level);
      throw error;
    }
  }

  async rollback(level: number): Promise<void> {
    this.#depth = level;
    await this.client.query(level === 0 ? 'ROLLBACK' : `ROLLBACK TO SAVEPOINT holdfast_${level}`);
    if (level > 0) await this.client.query(`RELEASE SAVEPOINT holdfast_${level}`);
  }

  /** One after another: statements of two callers must not get into each other's savepoints. */
  async alone<T>(work: Work<T>): Promise<T> {
    const before = this.#tail;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#tail = promise;
    await before;
    try {
      return await work();
    } finally {
      resolve();
    }
  }

  /**
   * What Prisma's adapter takes for a pool.
   *
   * @param isTx of the client that a batch gives to its callback
   */
  asPool(isTx = false): Pool {
    return new SessionPool(this, isTx);
  }

  async end(): Promise<void> {
    Session.#open.delete(pidOf(this.client));
    await this.client.end().catch(() => {});
  }
}

/** It does not keep the process at work: the engine's channel does that. pg's types do not know it. */
export function unref(client: Client): void {
  (client as Client & { unref(): void }).unref();
}

/** pg's types do not know it. */
function pidOf(client: Client): unknown {
  return 'processID' in client ? client.processID : undefined;
}
