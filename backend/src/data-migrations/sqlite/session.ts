import { AsyncLocalStorage } from 'node:async_hooks';
import { constants, type DatabaseSync } from 'node:sqlite';
import { currentInteractive, isWithin, type Interactive } from '../interactive.ts';
import { describeError } from '../refusal.ts';
import { TransactionLost } from '../transaction-lost.ts';
import { isBusy, openFile, whenFree } from './connection.ts';
import { timestampFormatOf, type FoundFormat } from './values.ts';

const OWN_TRANSACTION =
  'a query through "prisma" waits for what its own $transaction holds, and the transaction waits for the query: use "tx" inside of $transaction';
const OWN_BATCH =
  'a query through "prisma" waits for its own batch, and the batch waits for the query: use the "tx" that the callback is given, or return the changes';
const LOST =
  'SQLite has rolled the transaction back (a full disk, or a ROLLBACK of a conflict or a trigger): nothing of it is kept';
const BATCH_INSIDE =
  'a batch waits for the $transaction that it is called in, and that waits for the batch: call it outside of $transaction';

/** The session whose transaction the code is in. */
const inTransactionOf = new AsyncLocalStorage<SqliteSession>();

/** A transaction of Prisma's that has the session. */
interface Holder {
  readonly interactive: Interactive | undefined;
  readonly over: Promise<void>;
}

/**
 * One connection, on which transactions are inside of each other: in one of ours those of Prisma are savepoints, so that a
 * cursor is committed with the rows that a callback changed through Prisma. SQLite has one writer at a time: a write
 * transaction is one from its first statement on (BEGIN IMMEDIATE), so that none finds out in its middle that it came
 * too late.
 */
export class SqliteSession {
  readonly file: string;
  readonly database: DatabaseSync;
  /** How this database has its dates. */
  readonly format: FoundFormat;
  /** Another session of this process, that a batch would wait for. */
  #beside: () => SqliteSession | undefined = () => undefined;
  #depth = 0;
  #isOurs = false;
  #holder: Holder | undefined;

  private constructor(file: string, database: DatabaseSync) {
    this.file = file;
    this.database = database;
    this.format = timestampFormatOf(database);
  }

  static async open(file: string, beside?: () => SqliteSession | undefined): Promise<SqliteSession> {
    const session = await whenFree(file, () => new SqliteSession(file, openFile(file)));
    if (beside !== undefined) session.#beside = beside;
    session.#refuseOthersTransactions();
    return session;
  }

  get isInTransaction(): boolean {
    return this.#depth > 0;
  }

  /** SQLite itself refuses what would begin or end a transaction behind our back. */
  #refuseOthersTransactions(): void {
    this.database.setAuthorizer((action) =>
      this.#isOurs || !(action === constants.SQLITE_TRANSACTION || this.#isLooseSavepoint(action))
        ? constants.SQLITE_OK
        : constants.SQLITE_DENY,
    );
  }

  /** Outside of a transaction a savepoint opens one. */
  #isLooseSavepoint(action: number): boolean {
    return action === constants.SQLITE_SAVEPOINT && this.#depth === 0;
  }

  #exec(sql: string): void {
    this.#isOurs = true;
    try {
      this.database.exec(sql);
    } finally {
      this.#isOurs = false;
    }
  }

  /** A statement, in the transaction that is open, or by itself as soon as nobody else has the file. */
  async run<T>(work: () => T): Promise<T> {
    if (this.#depth > 0) {
      this.verifyOpen();
      return work();
    }
    return await whenFree(this.file, () => {
      try {
        return work();
      } catch (error) {
        this.#refuseOwnWait(error);
        throw error;
      }
    });
  }

  /**
   * The same for what belongs to no transaction of Prisma's: none may begin before it was sent, or it would go with it.
   *
   * @throws Error within one, which would not end meanwhile
   */
  async runAlone<T>(work: () => T): Promise<T> {
    for (;;) {
      await this.#untilFree();
      // Between two turns of the loop somebody may have come.
      const sent = await this.run(() => (this.#holder === undefined ? { result: work() } : undefined));
      if (sent !== undefined) return sent.result;
    }
  }

  get #isLost(): boolean {
    return this.#depth > 0 && !this.database.isTransaction;
  }

  /** @throws TransactionLost when SQLite has rolled back by itself: what follows would be kept alone. */
  verifyOpen(): void {
    if (this.#isLost) throw new TransactionLost(LOST);
  }

  /** @throws Error for a wait that nobody but this process could end, and does not. */
  #refuseOwnWait(error: unknown): void {
    if (!isBusy(error)) return;
    const holder = inTransactionOf.getStore();
    if (holder !== undefined && holder !== this && holder.#depth > 0) throw new Error(OWN_BATCH);
    if (this.#beside()?.isHeldByCaller() === true) throw new Error(BATCH_INSIDE);
  }

  /** @throws TransactionLost within one that SQLite has rolled back: the savepoint would be a transaction of its own. */
  async begin(): Promise<number> {
    this.verifyOpen();
    const level = this.#depth;
    if (level === 0) await this.run(() => this.#exec('BEGIN IMMEDIATE'));
    else this.#exec(`SAVEPOINT holdfast_${level}`);
    this.#depth = level + 1;
    return level;
  }

  async commit(level: number): Promise<void> {
    this.verifyOpen();
    if (level > 0) this.#exec(`RELEASE holdfast_${level}`);
    // A reader may be in the way; what was done stays until it is gone.
    else await whenFree(this.file, () => this.#exec('COMMIT'));
    this.#depth = level;
  }

  rollback(level: number): void {
    this.#depth = level;
    // Some failures have rolled it back already.
    if (!this.database.isTransaction) return;
    this.#exec(level === 0 ? 'ROLLBACK' : `ROLLBACK TO holdfast_${level}; RELEASE holdfast_${level}`);
  }

  /** Runs `work` in a transaction, or in a savepoint of the one that is open; what it throws rolls that back. */
  async transaction<T>(work: () => Promise<T>): Promise<T> {
    const level = await this.begin();
    try {
      const result = await inTransactionOf.run(this, work);
      await this.commit(level);
      return result;
    } catch (error) {
      this.rollback(level);
      if (!this.#isLost || error instanceof TransactionLost) throw error;
      throw new TransactionLost(`${LOST}: ${describeError(error)}`, { cause: error });
    }
  }

  isHeldByCaller(): boolean {
    return isWithin(this.#holder?.interactive);
  }

  async #untilFree(): Promise<void> {
    while (this.#holder !== undefined) {
      if (this.isHeldByCaller()) throw new Error(OWN_TRANSACTION);
      await this.#holder.over;
    }
  }

  /**
   * Takes the session for a transaction of Prisma's.
   *
   * @returns what gives it back
   * @throws Error within another one, which would not end meanwhile
   */
  async take(): Promise<() => void> {
    // Of two that waited one is first.
    while (this.#holder !== undefined) await this.#untilFree();
    const { promise: over, resolve } = Promise.withResolvers<void>();
    this.#holder = { interactive: currentInteractive(), over };
    return () => {
      this.#holder = undefined;
      resolve();
    };
  }

  end(): void {
    if (this.database.isOpen) this.database.close();
  }
}
