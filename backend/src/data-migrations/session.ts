import { Client, Pool, type PoolClient, type QueryResult } from 'pg';

/** By this name the engine's own sessions are known on the server; the id of the migration follows it. */
export const SESSION_NAME = 'holdfast data migration';

/** PostgreSQL cuts a name after 63 bytes. */
export function sessionName(id: string): string {
  return `${SESSION_NAME} ${id}`.slice(0, 63);
}

type Work<T> = () => Promise<T>;

/**
 * One session on the server on which a Prisma client can work together with us: `asPool` lends it to Prisma's adapter,
 * whose transactions become savepoints of the one that we opened. So a cursor is committed with the rows that the
 * callback changed through Prisma, and a dry run takes back whatever Prisma had committed.
 */
export class Session {
  readonly client: Client;
  #depth = 0;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(client: Client) {
    this.client = client;
  }

  static async open(url: string, id: string): Promise<Session> {
    const client = new Client({
      connectionString: url,
      connectionTimeoutMillis: 10_000,
      keepAlive: true,
      application_name: sessionName(id),
    });
    // Told by the query that is under way, or by the next one.
    client.on('error', () => {});
    await client.connect();
    return new Session(client);
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

  /** Says that somebody opened a transaction on the client by hand: from now on all of ours are savepoints. */
  join(): void {
    this.#depth = 1;
  }

  async begin(): Promise<number> {
    const level = this.#depth;
    await this.client.query(level === 0 ? 'BEGIN' : `SAVEPOINT holdfast_${level}`);
    this.#depth = level + 1;
    return level;
  }

  async commit(level: number): Promise<void> {
    this.#depth = level;
    await this.client.query(level === 0 ? 'COMMIT' : `RELEASE SAVEPOINT holdfast_${level}`);
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

  /** What Prisma's adapter takes for a pool. */
  asPool(): Pool {
    return new SessionPool(this);
  }

  async end(): Promise<void> {
    await this.client.end().catch(() => {});
  }
}

/** A pool of one session that is already in a transaction, and stays in it. */
class SessionPool extends Pool {
  readonly #session: Session;

  constructor(session: Session) {
    // Never used: every way to a session is overridden.
    super({ max: 1 });
    this.#session = session;
    Object.assign(this, {
      query: async (...args: unknown[]) => await this.#single(args),
      connect: async () => await this.#lend(),
    });
  }

  /** A statement by itself: in a savepoint, since its failure would otherwise end the transaction around it. */
  async #single(args: unknown[]): Promise<QueryResult> {
    const session = this.#session;
    return await session.alone(
      async () => await session.transaction(async () => await send(session.client, args)),
    );
  }

  /** For a transaction of Prisma's: until it is released, nobody else gets the session. */
  async #lend(): Promise<PoolClient> {
    const session = this.#session;
    const { promise: over, resolve: release } = Promise.withResolvers<void>();
    const { promise: mine, resolve: start } = Promise.withResolvers<void>();
    void session.alone(async () => {
      start();
      await over;
    });
    await mine;
    let level: number | undefined;
    const query = async (...args: unknown[]): Promise<QueryResult | void> => {
      const text = textOf(args);
      if (text === 'BEGIN') {
        level = await session.begin();
      } else if ((text === 'COMMIT' || text === 'ROLLBACK') && level !== undefined) {
        await (text === 'COMMIT' ? session.commit(level) : session.rollback(level));
        level = undefined;
      } else if (!/^SET TRANSACTION ISOLATION LEVEL/i.test(text)) {
        return await send(session.client, args);
      }
      return { rows: [], fields: [], rowCount: 0, command: text, oid: 0 };
    };
    const lent = { query, release, on: () => {}, once: () => {}, removeListener: () => {} };
    return lent as unknown as PoolClient;
  }
}

function textOf([first]: readonly unknown[]): string {
  if (typeof first === 'string') return first;
  if (typeof first === 'object' && first !== null && 'text' in first) return String(first.text);
  return '';
}

async function send(client: Client, args: unknown[]): Promise<QueryResult> {
  return await (client.query as (...all: unknown[]) => Promise<QueryResult>).apply(client, args);
}
