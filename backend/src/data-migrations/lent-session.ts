import { Pool, type Client, type PoolClient, type QueryResult } from 'pg';
import { currentInteractive, isInBatch, isWithin, type Interactive } from './interactive.ts';
import type { Session } from './session.ts';
import { describeWayOut, findWayOut } from './way-out.ts';
import { findTransactionWord } from './transaction-words.ts';

/** So long a transaction that is not at work keeps the session from others: it may be waiting for them. */
const YIELDS_AFTER_MS = 1_000;
/** So long a transaction waits for one inside of it that is not at work: that may be waiting for the first. */
const STUCK_AFTER_MS = 30_000;

const OUTSIDE =
  'a query went through "prisma" while $transaction was at work: for real it is no part of that transaction, and may wait for its rows; use "tx" inside of $transaction';
const LOST =
  'a $transaction failed, and took back with it what went through "prisma" meanwhile; for real that stays';

const BESIDE =
  'a query went through "prisma" inside of a batch: for real it is no part of that, and may wait for its rows; use the "tx" that the callback is given';

/** One transaction of Prisma's that has the session. */
interface Holder {
  readonly interactive: Interactive | undefined;
  readonly over: Promise<void>;
  /** Its statements that are on the server, or on their way. */
  underWay: number;
  lastAt: number;
  hasGuests: boolean;
}

/**
 * A pool of one session that is already in a transaction, and stays in it. Prisma's transactions become savepoints, one
 * after another. What is called from within one, but not through it, runs inside of it, since it cannot wait for its
 * end; so does what waits for one that has nothing to do.
 */
export class SessionPool extends Pool {
  static readonly #all = new WeakMap<Session, Holder[]>();

  readonly #session: Session;
  /** Each is inside of the one before. The session's, not the pool's: a dry run has one session for all. */
  readonly #holders: Holder[];
  readonly #isTx: boolean;

  constructor(session: Session, isTx: boolean) {
    // Never used: every way to a session is overridden.
    super({ max: 1 });
    this.#session = session;
    this.#isTx = isTx;
    this.#holders = SessionPool.#all.get(session) ?? [];
    SessionPool.#all.set(session, this.#holders);
    Object.assign(this, {
      query: async (...args: unknown[]) => await this.#single(args),
      connect: async () => await this.#lend(),
    });
  }

  /** A statement by itself: in a savepoint, since its failure would otherwise end the transaction around it. */
  async #single(args: unknown[]): Promise<QueryResult> {
    const session = this.#session;
    this.#warnBeside();
    refuseTransactionWord(session, textOf(args));
    // PostgreSQL refuses it where it has no transaction; here there is always one.
    if (session.isTried && /^\s*LOCK\b/i.test(textOf(args)) && currentInteractive() === undefined)
      throw new Error('LOCK TABLE can only be used in transaction blocks: use prisma.$transaction()');
    await this.#untilFree();
    return await session.alone(
      async () => await session.transaction(async () => await send(session.client, args)),
    );
  }

  async #lend(): Promise<PoolClient> {
    const session = this.#session;
    this.#warnBeside();
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const holder: Holder = {
      interactive: currentInteractive(),
      over,
      underWay: 0,
      lastAt: 0,
      hasGuests: false,
    };
    await this.#untilFree(() => {
      holder.lastAt = performance.now();
      this.#holders.push(holder);
    });
    const transaction = new LentTransaction(session, () => {
      if (holder.hasGuests) session.warn(LOST);
    });
    const query = async (...args: unknown[]): Promise<QueryResult> => {
      await this.#untilOnTop(holder, textOf(args));
      holder.underWay += 1;
      try {
        return await session.alone(async () => await transaction.query(args));
      } finally {
        holder.underWay -= 1;
        holder.lastAt = performance.now();
      }
    };
    const release = (): void => {
      const index = this.#holders.indexOf(holder);
      if (index >= 0) this.#holders.splice(index, 1);
      resolve();
    };
    const lent = { query, release, on: () => {}, once: () => {}, removeListener: () => {} };
    return lent as unknown as PoolClient;
  }

  #warnBeside(): void {
    if (isInBatch() && !this.#isTx) this.#session.warn(BESIDE);
  }

  /** For those who are not in the transaction that has the session; `take` is called before anybody else can. */
  async #untilFree(take?: () => void): Promise<void> {
    for (let top = this.#holders.at(-1); top !== undefined; top = this.#holders.at(-1)) {
      const isInside = isWithin(top.interactive);
      if (isInside || idle(top) >= YIELDS_AFTER_MS) {
        for (const holder of this.#holders) holder.hasGuests = true;
        if (isInside) this.#session.warn(OUTSIDE);
        break;
      }
      await within(top.over, YIELDS_AFTER_MS - idle(top));
    }
    take?.();
  }

  /** For a statement of a transaction, until those that came into it are over; from within those it cannot wait. */
  async #untilOnTop(holder: Holder, text: string): Promise<void> {
    for (let top = this.#holders.at(-1); top !== undefined && top !== holder; top = this.#holders.at(-1)) {
      if (isWithin(top.interactive) && text !== 'COMMIT' && text !== 'ROLLBACK') {
        top.hasGuests = true;
        return;
      }
      if (idle(top) >= STUCK_AFTER_MS)
        throw new Error(
          'two $transactions wait for each other, or one does nothing for half a minute: here they share one session; await them one after another',
        );
      await within(top.over, STUCK_AFTER_MS - idle(top));
    }
  }
}

/** Prisma's BEGIN, COMMIT and ROLLBACK, once each, as a savepoint. What the migration says of that kind is refused. */
class LentTransaction {
  readonly #session: Session;
  readonly #onRollback: () => void;
  #level: number | undefined;
  #isOver = false;

  constructor(session: Session, onRollback: () => void) {
    this.#session = session;
    this.#onRollback = onRollback;
  }

  async query(args: unknown[]): Promise<QueryResult> {
    const session = this.#session;
    const text = textOf(args);
    if (text === 'BEGIN' && this.#level === undefined && !this.#isOver) this.#level = await session.begin();
    else if ((text === 'COMMIT' || text === 'ROLLBACK') && this.#level !== undefined) await this.#end(text);
    else if (this.#isOver) throw refusal(session, 'COMMIT or ROLLBACK');
    else if (!/^SET TRANSACTION ISOLATION LEVEL [A-Z ]+$/i.test(text)) {
      refuseTransactionWord(session, text);
      return await send(session.client, args);
    }
    return { rows: [], fields: [], rowCount: 0, command: text, oid: 0 };
  }

  async #end(how: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    const level = this.#level ?? 0;
    this.#level = undefined;
    this.#isOver = true;
    if (how === 'COMMIT') {
      try {
        await this.#session.commit(level);
        return;
      } catch (error) {
        // What PostgreSQL does with the COMMIT of a transaction in which a statement failed.
        if (!(error instanceof Error && 'code' in error && error.code === '25P02')) throw error;
      }
    }
    this.#onRollback();
    await this.#session.rollback(level);
  }
}

function idle(holder: Holder): number {
  return holder.underWay > 0 ? 0 : performance.now() - holder.lastAt;
}

/** Waits for it, but no longer than so many milliseconds. */
async function within(promise: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const time = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.max(10, ms));
  });
  await Promise.race([promise, time]);
  clearTimeout(timer);
}

/** @throws Error for a statement that begins or ends a transaction: the session's is not the migration's. */
function refuseTransactionWord(session: Session, text: string): void {
  const word = findTransactionWord(text);
  if (word !== undefined) throw refusal(session, word);
  const way = session.isTried ? findWayOut(text) : undefined;
  if (way !== undefined) throw session.refuse(describeWayOut(way));
}

function refusal(session: Session, statement: string): Error {
  return session.refuse(
    new Error(
      `it ends the transaction that it is ${session.isTried ? 'tried' : 'batched'} in: it says "${statement}", which was not sent. Take that out; what belongs together goes into prisma.$transaction()`,
    ),
  );
}

function textOf([first]: readonly unknown[]): string {
  if (typeof first === 'string') return first;
  if (typeof first === 'object' && first !== null && 'text' in first) return String(first.text);
  return '';
}

async function send(client: Client, args: unknown[]): Promise<QueryResult> {
  return await (client.query as (...all: unknown[]) => Promise<QueryResult>).apply(client, args);
}
