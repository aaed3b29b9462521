import { PrismaPg } from '@prisma/adapter-pg';
import {
  ColumnTypeEnum,
  DriverAdapterError,
  type ColumnType,
  type SqlDriverAdapter,
  type SqlQuery,
  type SqlResultSet,
} from '@prisma/driver-adapter-utils';
import { Pool, type PoolClient, type QueryConfig, type QueryResult } from 'pg';
import { messageOf } from '../../lib/errors.ts';
import { isConnectionLost } from './connection-error.ts';
import type { EngineSession } from './engine-session.ts';
import { databaseError, executeScript } from './script.ts';

const lockStatement = 'SELECT pg_advisory_lock(72707369)';

/** What is told of a script that failed, before the WebAssembly engine turns it into words of its own. */
export type OnScriptError = (error: unknown) => void;

/**
 * An adapter for the WebAssembly engine over one session. Conversion of values and result sets is that of
 * `@prisma/adapter-pg`; scripts are ours (`executeScript`), and disposing is left to `end`, which is called with it.
 */
export async function adapterOf(
  session: EngineSession,
  options: { onScriptError?: OnScriptError; end?: () => Promise<void> } = {},
): Promise<SqlDriverAdapter> {
  const { schema } = session.settings;
  const official = await new PrismaPg(poolOf(session), { schema }).connect();
  return {
    provider: official.provider,
    adapterName: official.adapterName,
    queryRaw: async (query) =>
      await withDriverErrors(session, async () => withCharacters(await official.queryRaw(query))),
    executeRaw: async (query) => {
      if (isSkippedLock(query)) return 0;
      return await withDriverErrors(session, async () => await official.executeRaw(query));
    },
    executeScript: async (script) => {
      try {
        await executeScript(session, script);
      } catch (error) {
        options.onScriptError?.(error);
        throw error;
      }
    },
    startTransaction: async (isolationLevel) => await official.startTransaction(isolationLevel),
    getConnectionInfo: () => official.getConnectionInfo(),
    dispose: async () => (options.end === undefined ? await session.end() : await options.end()),
  };
}

/** A pool that hands out nothing but the session: `@prisma/adapter-pg` works on pools only. */
function poolOf(session: EngineSession): Pool {
  const { client } = session;
  const kept: PoolClient = Object.assign(client, { release: () => undefined });
  return Object.assign(new Pool({ max: 1 }), {
    query: async (query: QueryConfig) => withCharAsText(await client.query(query)),
    connect: async () => kept,
    end: async () => await session.end(),
  });
}

const typeOids = { char: 18, text: 25 };

/** The columns of PostgreSQL's internal one-byte type "char", by the rows they are of. */
const charColumns = new WeakMap<object, ReadonlySet<number>>();

/**
 * Calls the type "char" text on the way through `@prisma/adapter-pg`, which (7.10) refuses it: diff, dev, push and pull
 * all ended with "Column type 'char' could not be deserialized" (https://github.com/prisma/orm/issues/27403 is the same
 * fault with another type). `withCharacters` gives it its name back.
 */
function withCharAsText<Result extends QueryResult | QueryResult[]>(result: Result): Result {
  // Several statements in one query give several results, which nobody reads.
  if (Array.isArray(result)) return result;
  const columns = new Set<number>();
  for (const [index, field] of result.fields.entries()) {
    if (field.dataTypeID !== typeOids.char) continue;
    field.dataTypeID = typeOids.text;
    columns.add(index);
  }
  charColumns.set(result.rows, columns);
  return result;
}

/** The engine reads the actions of foreign keys as characters or text; the kinds of constraints (CHECK) as characters only. */
function withCharacters(set: SqlResultSet): SqlResultSet {
  const columns = charColumns.get(set.rows);
  const typeOf = (type: ColumnType, index: number) =>
    columns?.has(index) === true ? ColumnTypeEnum.Character : type;
  return { ...set, columnTypes: set.columnTypes.map(typeOf) };
}

/** An error that is not a DriverAdapterError reaches the CLI as "External error id#0". */
async function withDriverErrors<T>(session: EngineSession, work: () => Promise<T>): Promise<T> {
  try {
    return await session.run(work);
  } catch (error) {
    if (error instanceof DriverAdapterError) throw error;
    if (isConnectionLost(error)) throw new DriverAdapterError({ kind: 'ConnectionClosed' });
    throw new DriverAdapterError(databaseError(messageOf(error)));
  }
}

/** The native engine's own switch, which the WebAssembly engine cannot read: it has no environment. */
function isSkippedLock(query: SqlQuery): boolean {
  const value = process.env['PRISMA_SCHEMA_DISABLE_ADVISORY_LOCK'];
  return (
    query.sql === lockStatement && value !== undefined && value !== '' && value !== '0' && value !== 'false'
  );
}
