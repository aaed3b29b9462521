import { type Client } from 'pg';
import type { ConnectionSettings } from './connection-url.ts';
import { connect, prepareSession } from './session.ts';

/**
 * The one database session that a run of the engine works on: the advisory lock, the bookkeeping in
 * `_prisma_migrations` and the scripts. One, because a pool drops the connection of a query that failed (pg-pool
 * releases it with the error), and Prisma's lock with it (measured).
 */
export class EngineSession {
  readonly settings: ConnectionSettings;
  readonly client: Client;
  readonly #processId: number;
  #running = 0;
  #ending: Promise<void> | undefined;

  private constructor(settings: ConnectionSettings, client: Client, processId: number) {
    this.settings = settings;
    this.client = client;
    this.#processId = processId;
  }

  /** @throws {KnownError} as `connect` does. */
  static async open(settings: ConnectionSettings): Promise<EngineSession> {
    const client = await connect(settings);
    try {
      const session = new EngineSession(settings, client, await prepareSession(client, settings.schema));
      openSessions.add(session);
      return session;
    } catch (error) {
      await client.end();
      throw error;
    }
  }

  /** Runs something on the connection and remembers, while it does, that the server is busy for us. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
    }
  }

  /**
   * Ends the session on the server too: closing a connection does not stop the statement that runs on it, and its
   * locks stay for as long as it does. May be called twice; each call waits for the one end.
   */
  async end(): Promise<void> {
    this.#ending ??= this.#end();
    await this.#ending;
  }

  async #end(): Promise<void> {
    if (this.#running > 0) await terminate(this.settings, this.#processId);
    await this.client.end();
    openSessions.delete(this);
  }
}

const openSessions = new Set<EngineSession>();

/** Ends every session that is open, also in the middle of a statement. Never throws: it is the last thing done. */
export async function endEverySession(): Promise<void> {
  await Promise.allSettled([...openSessions].map(async (session) => await session.end()));
}

async function terminate(settings: ConnectionSettings, processId: number): Promise<void> {
  const helper = await connect(settings).catch(() => undefined);
  // No second connection to be had: the server finds out by itself, see `prepareSession`.
  if (helper === undefined) return;
  try {
    await helper.query('SELECT pg_terminate_backend($1)', [processId]);
  } finally {
    await helper.end();
  }
}
