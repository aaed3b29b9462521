import type { StatementSync } from 'node:sqlite';
import {
  DriverAdapterError,
  type IsolationLevel,
  type MappedError,
  type SqlDriverAdapter,
  type SqlDriverAdapterFactory,
  type SqlQuery,
  type SqlResultSet,
  type Transaction,
} from '@prisma/driver-adapter-utils';
import { describeError } from '../refusal.ts';
import type { SqliteSession } from './session.ts';
import { countStatements } from './statements.ts';
import { columnTypeOf, fromPrisma, toPrisma, type FoundFormat } from './values.ts';

const INFO = { provider: 'sqlite', adapterName: 'holdfast-node-sqlite' } as const;

/**
 * Lets a Prisma client work on a session of ours, whichever adapter the application itself has: there is one SQLite in
 * the process then, and Prisma's transactions are a part of our own.
 *
 * @param open is called at the first query
 * @param isOurs the session is closed when the client disconnects
 */
export function adapterFor(open: () => Promise<SqliteSession>, isOurs: boolean): SqlDriverAdapterFactory {
  return { ...INFO, connect: async () => new SessionAdapter(await open(), isOurs) };
}

class SessionQueries {
  readonly provider = INFO.provider;
  readonly adapterName = INFO.adapterName;
  protected readonly session: SqliteSession;
  readonly #format: FoundFormat;

  constructor(session: SqliteSession, format: FoundFormat) {
    this.session = session;
    this.#format = format;
  }

  protected async run<T>(work: () => T): Promise<T> {
    return await this.session.run(work);
  }

  async queryRaw(query: SqlQuery): Promise<SqlResultSet> {
    return await this.#send(query, (statement, values) => {
      const columns = statement.columns();
      if (columns.length === 0) {
        statement.run(...values);
        return { columnNames: [], columnTypes: [], rows: [] };
      }
      statement.setReadBigInts(true);
      statement.setReturnArrays(true);
      // Its type does not know of setReturnArrays.
      const rows = statement.all(...values) as unknown as Parameters<typeof toPrisma>[0][][];
      const types = columns.map(({ type }, index) =>
        columnTypeOf(
          type,
          rows.map((row) => row[index] ?? null),
        ),
      );
      return {
        columnNames: columns.map(({ name }) => name),
        columnTypes: types,
        rows: rows.map((row) => row.map((value, index) => toPrisma(value, types[index] ?? 0))),
      };
    });
  }

  async executeRaw(query: SqlQuery): Promise<number> {
    return await this.#send(query, (statement, values) => Number(statement.run(...values).changes));
  }

  async #send<T>(
    { sql, args, argTypes }: SqlQuery,
    work: (statement: StatementSync, values: ReturnType<typeof fromPrisma>[]) => T,
  ): Promise<T> {
    try {
      // Node's SQLite takes the first, and says nothing of the others.
      if (countStatements(sql) > 1)
        throw new Error(
          'it holds more than one statement; send them one by one, or put them into a .sql file',
        );
      const values = args.map((arg, index) => fromPrisma(arg, argTypes[index], this.#format));
      return await this.run(() => work(this.session.database.prepare(sql), values));
    } catch (error) {
      throw toPrismaError(error, sql);
    }
  }
}

class SessionAdapter extends SessionQueries implements SqlDriverAdapter {
  readonly #isOurs: boolean;

  constructor(session: SqliteSession, isOurs: boolean) {
    super(session, session.format);
    this.#isOurs = isOurs;
  }

  /** A transaction has the session; whatever else there is waits for it. */
  protected override async run<T>(work: () => T): Promise<T> {
    return await this.session.runAlone(work);
  }

  async executeScript(script: string): Promise<void> {
    await this.run(() => this.session.database.exec(script));
  }

  async startTransaction(isolation?: IsolationLevel): Promise<Transaction> {
    if (isolation !== undefined && isolation !== 'SERIALIZABLE')
      throw new DriverAdapterError({ kind: 'InvalidIsolationLevel', level: isolation });
    let giveBack = (): void => {};
    try {
      giveBack = await this.session.take();
      const level = await this.session.begin();
      return new SessionTransaction(this.session, level, giveBack);
    } catch (error) {
      giveBack();
      throw toPrismaError(error, 'BEGIN');
    }
  }

  async dispose(): Promise<void> {
    if (this.#isOurs) this.session.end();
    await Promise.resolve();
  }
}

class SessionTransaction extends SessionQueries implements Transaction {
  /** We begin and end it ourselves: inside of one of ours it is a savepoint. */
  readonly options = { usePhantomQuery: true };
  readonly #level: number;
  readonly #giveBack: () => void;

  constructor(session: SqliteSession, level: number, giveBack: () => void) {
    super(session, session.format);
    this.#level = level;
    this.#giveBack = giveBack;
  }

  async commit(): Promise<void> {
    try {
      await this.session.commit(this.#level);
    } catch (error) {
      this.session.rollback(this.#level);
      throw toPrismaError(error, 'COMMIT');
    } finally {
      this.#giveBack();
    }
  }

  async rollback(): Promise<void> {
    this.session.rollback(this.#level);
    this.#giveBack();
    await Promise.resolve();
  }

  async createSavepoint(name: string): Promise<void> {
    await this.session.run(() => this.session.database.exec(`SAVEPOINT ${name}`));
  }

  async rollbackToSavepoint(name: string): Promise<void> {
    await this.session.run(() => this.session.database.exec(`ROLLBACK TO ${name}`));
  }

  async releaseSavepoint(name: string): Promise<void> {
    await this.session.run(() => this.session.database.exec(`RELEASE ${name}`));
  }
}

/** What Prisma makes its own errors of (P2002 and the like). */
function toPrismaError(error: unknown, sql: string): unknown {
  if (!(error instanceof Error)) return error;
  const { message } = error;
  const code = 'errcode' in error ? Number(error.errcode) : undefined;
  const map = (mapped: MappedError, originalMessage = message): DriverAdapterError =>
    new DriverAdapterError({ originalCode: String(code ?? 1), originalMessage, ...mapped });
  const fields = /constraint failed: (.*)/
    .exec(message)?.[1]
    ?.split(', ')
    .map((field) => field.split('.').pop() ?? field);
  switch (code) {
    case 2067: // UNIQUE
    case 1555: // PRIMARYKEY
    case 2579: // ROWID
      return map({ kind: 'UniqueConstraintViolation', ...(fields ? { constraint: { fields } } : {}) });
    case 1299: // NOTNULL
      return map({ kind: 'NullConstraintViolation', ...(fields ? { constraint: { fields } } : {}) });
    case 787: // FOREIGNKEY
    case 1811: // TRIGGER
      return map({ kind: 'ForeignKeyConstraintViolation', constraint: { foreignKey: {} } });
    case 23: {
      // AUTH
      const refused = `it says "${sql.trim().slice(0, 60)}", which was not sent: what belongs together goes into prisma.$transaction()`;
      return map({ kind: 'sqlite', extendedCode: 23, message: refused }, refused);
    }
    default:
      if (message.startsWith('no such table'))
        return map({ kind: 'TableDoesNotExist', table: message.split(': ')[1] ?? '' });
      if (message.startsWith('no such column'))
        return map({ kind: 'ColumnNotFound', column: message.split(': ')[1] ?? '' });
      return map({ kind: 'sqlite', extendedCode: code ?? 1, message: describeError(error) });
  }
}
