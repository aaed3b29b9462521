import { DatabaseSync } from 'node:sqlite';
import {
  DriverAdapterError,
  type SqlDriverAdapter,
  type SqlQuery,
  type SqlResultSet,
  type Transaction,
} from '@prisma/driver-adapter-utils';
import { confine, scratchVariable } from '../../../database/sqlite/confine.ts';
import { describeHolders, findHolders } from '../../../database/sqlite/holders.ts';
import { runScript } from '../../../database/sqlite/script.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { OnScriptError } from '../adapter.ts';
import { ScriptError } from '../script.ts';
import { columnTypeOf, fromSqlite, toSqlite } from './values.ts';

/** How long somebody else's lock is waited for, as Prisma's own drivers do. */
const busyMs = 5000;

const primaryCode = (code: number) => code & 0xff;
const sqliteBusy = 5;

/**
 * Opens a database for the engine, with foreign keys on. One in memory for `:memory:`. From a copy, and from memory, where a
 * whole history is replayed, no migration gets at another file; on the live database it is its vendor's and its operator's
 * affair (`outside-database`).
 */
export function openSqlite(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: busyMs });
  if (file === ':memory:' || process.env[scratchVariable] !== undefined) confine(database);
  return database;
}

/**
 * An adapter for the WebAssembly engine over one connection of `node:sqlite`. Scripts run whole or not at all
 * (`runScript`).
 */
export function sqliteAdapter(
  database: DatabaseSync,
  file: string,
  { onScriptError, end }: { onScriptError?: OnScriptError; end?: () => void } = {},
): SqlDriverAdapter {
  const guarded = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw new DriverAdapterError(sqliteError(error, file));
    }
  };
  const queryRaw = async (query: SqlQuery) => await Promise.resolve(guarded(() => ask(database, query)));
  const executeRaw = async (query: SqlQuery) =>
    await Promise.resolve(
      guarded(() => {
        if (query.args.length > 0)
          return Number(database.prepare(query.sql).run(...argumentsOf(query)).changes);
        // Whole scripts come this way, too, for a shadow database; `prepare` would run their first statement alone.
        runScript(database, query.sql);
        return 0;
      }),
    );
  const about = { provider: 'sqlite', adapterName: 'holdfast-sqlite' } as const;
  return {
    ...about,
    queryRaw,
    executeRaw,
    executeScript: async (script) => {
      try {
        if (emptiesTables.test(script)) dropEverything(database);
        else runScript(database, script);
      } catch (error) {
        const cause = sqliteError(error, file);
        const code = 'errcode' in Object(error) ? String((error as { errcode: unknown }).errcode) : 'none';
        const failure = new ScriptError({ code, text: cause.message }, script, cause);
        onScriptError?.(failure);
        throw failure;
      }
      await Promise.resolve();
    },
    startTransaction: async () => {
      guarded(() => database.exec('BEGIN'));
      const finish = (word: string) => async () => {
        guarded(() => database.isTransaction && database.exec(word));
        await Promise.resolve();
      };
      const transaction: Transaction = {
        ...{ ...about, queryRaw, executeRaw, options: { usePhantomQuery: false } },
        ...{ commit: finish('COMMIT'), rollback: finish('ROLLBACK') },
      };
      return await Promise.resolve(transaction);
    },
    getConnectionInfo: () => ({ supportsRelationJoins: false }),
    dispose: async () => {
      if (database.isOpen) database.close();
      end?.();
      await Promise.resolve();
    },
  };
}

/**
 * How the WebAssembly engine resets a database of SQLite: it deletes rows, and leaves the tables for the migrations to
 * stumble over (the service that this was written for does not let tables be dropped like that).
 */
const emptiesTables =
  /^\s*PRAGMA defer_foreign_keys = 1;\s*DELETE FROM [^;]+(?:;\s*DELETE FROM [^;]+)*;?\s*$/;

function dropEverything(database: DatabaseSync): void {
  const objects = database
    .prepare(
      `select type, name from sqlite_schema where type in ('view', 'table') and name not like 'sqlite\\_%' escape '\\'
       order by type desc`,
    )
    .all();
  const drops = objects.map(
    ({ type, name }) => `DROP ${String(type)} IF EXISTS "${String(name).replaceAll('"', '""')}";`,
  );
  runScript(database, ['PRAGMA foreign_keys=OFF;', ...drops].join('\n'));
  // The engine takes a database with the list of counters in it for one that is not empty, and that cannot be dropped.
  database.enableDefensive(false);
  try {
    database.exec(
      "PRAGMA writable_schema=1; DELETE FROM sqlite_schema WHERE name = 'sqlite_sequence'; PRAGMA writable_schema=RESET; VACUUM",
    );
  } finally {
    database.enableDefensive(true);
  }
}

/** As SQLite says it; of a lock, whose it is. */
export function sqliteError(
  error: unknown,
  file: string,
): { kind: 'sqlite'; extendedCode: number; message: string } {
  const code = Number((error as { errcode?: unknown }).errcode ?? 1);
  const holders = primaryCode(code) === sqliteBusy && file !== ':memory:' ? findHolders(file) : [];
  const who =
    holders.length === 0
      ? ''
      : `: ${describeHolders(holders)} has it open; stop it (kill ${holders.map(({ pid }) => pid).join(' ')}), then try again`;
  return { kind: 'sqlite', extendedCode: code, message: `${messageOf(error)}${who}` };
}

const argumentsOf = ({ args, argTypes }: SqlQuery) =>
  args.map((value, index) => toSqlite(value, argTypes[index]));

function ask(database: DatabaseSync, query: SqlQuery): SqlResultSet {
  const statement = database.prepare(query.sql);
  const columns = statement.columns();
  if (columns.length === 0) {
    statement.run(...argumentsOf(query));
    return { columnNames: [], columnTypes: [], rows: [] };
  }
  statement.setReturnArrays(true);
  statement.setReadBigInts(true);
  const rows = statement.all(...argumentsOf(query)) as unknown as (string | number | bigint | null)[][];
  const columnTypes = columns.map(({ type }, index) =>
    columnTypeOf(
      type,
      rows.map((row) => row[index] ?? null),
    ),
  );
  return {
    columnNames: columns.map(({ name }) => name),
    columnTypes,
    rows: rows.map((row) => row.map((value, index) => fromSqlite(value, columnTypes[index] ?? 0))),
  };
}
