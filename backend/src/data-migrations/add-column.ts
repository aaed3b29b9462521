import type { PrismaClient } from '../generated/client.ts';
import type { BatchResult } from './batch/options.ts';
import { isPassing, RETRIES } from './batch/pace.ts';
import { quote } from './identifiers.ts';
import type { MigrationContext } from './migration.ts';

/** A column that every row is to have a value in. */
export interface ColumnOptions {
  /** By its name in the database. */
  readonly table: string;
  readonly column: string;
  /** As SQL writes it: `text`, `numeric(10, 2)`. */
  readonly type: string;
  /** SQL without columns: what rows get that are inserted from now on. */
  readonly default: string;
  /** SQL, also of other columns: what the rows that are there get. The default where absent. */
  readonly value?: string;
  /** Columns that name a row, for the order; the primary key by default. */
  readonly key?: string | readonly string[];
  /** Rows in the first batch; 1000 by default. */
  readonly size?: number;
}

/** How one kind of database does it. Each step may be run again, whatever of it an earlier attempt has done. */
export interface ColumnSteps {
  /**
   * The column is there afterwards.
   *
   * @returns true when every row has its value already, and no batch is needed
   */
  add(options: ColumnOptions): Promise<boolean>;
  /** No row is without a value afterwards, and none can come in; rows that are inserted get the default. */
  forbidNull(options: ColumnOptions): Promise<void>;
}

/** What the steps may use of a migration's context. */
export type ColumnTools = Pick<MigrationContext, 'prisma' | 'log' | 'signal'>;

/**
 * Adds a column that must have a value, to a table that is in use: it is added nullable, the rows that are there are
 * filled in batches, then it is made NOT NULL. Each part looks at what is there already: killed at any instant, it is
 * simply run again, and the batches go on where they were.
 *
 * @throws Error with the database's words; what was done by then stays, and is what the next attempt begins with
 */
export async function addColumnWithDefault(
  { batch }: Pick<MigrationContext, 'batch'>,
  steps: ColumnSteps,
  options: ColumnOptions,
): Promise<BatchResult> {
  const { table, column, key, size, value = options.default } = options;
  if (await steps.add(options)) {
    await steps.forbidNull(options);
    return { done: 0, failed: 0, wasFinished: true };
  }
  const result = await batch({
    ...{ table, name: `${table}.${column}`, where: `${quote.name(column)} IS NULL` },
    set: `${quote.name(column)} = (${value})`,
    ...(key === undefined ? {} : { key }),
    ...(size === undefined ? {} : { size }),
  });
  await steps.forbidNull(options);
  return result;
}

interface Found {
  readonly notNull: boolean;
}

/**
 * Nullable with a default for new rows; NOT NULL by a check that is validated while others read and write. Nothing is
 * locked for longer than a moment.
 */
export function postgresColumns({ prisma, log, signal }: ColumnTools): ColumnSteps {
  const find = async ({ table, column }: ColumnOptions): Promise<Found | undefined> => {
    const [found] = await prisma.$queryRawUnsafe<Found[]>(
      `SELECT attnotnull AS "notNull" FROM pg_attribute
       WHERE attrelid = to_regclass($1) AND attname = $2 AND attnum > 0 AND NOT attisdropped`,
      quote.table(table),
      column,
    );
    return found;
  };
  const alter = async (table: string, how: string): Promise<void> =>
    await briefly(prisma, `ALTER TABLE ${quote.table(table)} ${how}`, { log, signal });
  return {
    async add(options) {
      const { table, column, type } = options;
      const name = quote.name(column);
      const setDefault = `ALTER COLUMN ${name} SET DEFAULT ${options.default}`;
      // Both at once: no row can come in between.
      await alter(table, (await find(options)) ? setDefault : `ADD COLUMN ${name} ${type}, ${setDefault}`);
      await verifyValues(prisma, options);
      return false;
    },
    async forbidNull(options) {
      const { table, column, value = options.default } = options;
      const name = quote.name(column);
      const check = quote.name(`${column}_not_null_yet`);
      if ((await find(options))?.notNull !== true) {
        // Of an attempt that was killed; while it is there nobody can write a row without a value.
        await alter(table, `DROP CONSTRAINT IF EXISTS ${check}`);
        await verifyValues(prisma, options);
        // From here on none comes in; rows that are there are not looked at.
        await alter(table, `ADD CONSTRAINT ${check} CHECK (${name} IS NOT NULL) NOT VALID`);
        try {
          // What was written as null since its batch.
          await prisma.$executeRawUnsafe(
            `UPDATE ${quote.table(table)} SET ${name} = (${value}) WHERE ${name} IS NULL`,
          );
          // Reads every row, under a lock that keeps neither readers nor writers away.
          await alter(table, `VALIDATE CONSTRAINT ${check}`);
          // Goes by the check (PostgreSQL 12 and later), and reads no row.
          await alter(table, `ALTER COLUMN ${name} SET NOT NULL`);
        } catch (error) {
          // The application must be able to write its rows, whatever comes of this.
          await alter(table, `DROP CONSTRAINT IF EXISTS ${check}`);
          log(`${options.column} of ${table} may be null, as before: the check was taken off again`);
          throw error;
        }
      }
      await alter(table, `DROP CONSTRAINT IF EXISTS ${check}`);
    },
  };
}

/** @throws Error that names rows which would still be without a value. */
async function verifyValues(prisma: PrismaClient, options: ColumnOptions): Promise<void> {
  const { table, column, value = options.default } = options;
  const found = await prisma.$queryRawUnsafe<{ row: string; all: number }[]>(
    `SELECT left(to_jsonb(holdfast_row)::text, 100) AS row, count(*) OVER ()::int AS all
     FROM (SELECT * FROM ${quote.table(table)} WHERE ${quote.name(column)} IS NULL AND (${value}) IS NULL) AS holdfast_row LIMIT 1`,
  );
  const [first] = found;
  if (first === undefined) return;
  throw new Error(
    `addColumnWithDefault: ${first.all} rows of ${table} get null for ${column} by ${value}; give them a value, as by coalesce(); one of them: ${first.row}`,
  );
}

/** Whoever waits for a lock makes others wait behind him: a few seconds at most, then once more. */
async function briefly(
  prisma: PrismaClient,
  sql: string,
  { log, signal }: Pick<MigrationContext, 'log' | 'signal'>,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      await prisma.$transaction(
        async (tx) => {
          await tx.$executeRawUnsafe(`SET LOCAL lock_timeout = '3s'`);
          await tx.$executeRawUnsafe(sql);
        },
        { timeout: 3_600_000, maxWait: 10_000 },
      );
      return;
    } catch (error) {
      if (attempt > RETRIES || !isPassing(error)) throw error;
      log(`waiting for somebody's lock: ${sql}`);
      await new Promise((resolve) => setTimeout(resolve, 200 * 2 ** Math.min(attempt, 5)));
    }
  }
}
