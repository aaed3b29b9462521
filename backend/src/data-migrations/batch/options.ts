import type { PrismaClient } from '../../generated/client.ts';

/** A row as the callback gets it: of a table by its columns, of a model by its fields. */
export type BatchRow = Record<string, unknown>;

/** New values for some columns (or fields) of a row. */
export type RowChanges = Readonly<Record<string, unknown>>;

/** A Prisma client inside the transaction of the batch: what is written with it is committed with the cursor. */
export type BatchClient = PrismaClient;

/**
 * Where the rows are, and what is done with them: one of `set`, `rows` and `up`.
 *
 * `Row` is what the callback says of its rows: it knows its columns, and nobody else here does.
 */
export interface BatchOptions<Row extends object = BatchRow> {
  /** A table, by its name in the database, as SQL has it: `billing.users`, `ONLY users`. Either this or `model`. */
  readonly table?: string;
  /** A model of the Prisma schema: rows and changes go by its fields, `where` is Prisma's. */
  readonly model?: string;
  /** What keeps two batches of one migration apart. By default the name of the table or model. */
  readonly name?: string;
  /** Columns (or fields) that name a row, in their order; the primary key by default. */
  readonly key?: string | readonly string[];
  /** Only these rows: SQL for a table, a Prisma filter for a model. */
  readonly where?: string | object;
  /** Rows in the first batch; the size then follows the time that one takes. 1000 by default. */
  readonly size?: number;
  /** How long one batch should take, in milliseconds; 500 by default. */
  readonly targetMs?: number;
  /** Columns that the callback needs; all by default. The key is always there. */
  readonly select?: readonly string[];
  /** The quickest: what stands between SET and WHERE, `total = price * count`. For tables. */
  readonly set?: string;
  /** A whole batch at once: returns the changes of each row in the order of the rows, undefined for none. */
  readonly rows?: (
    rows: readonly Row[],
    tx: BatchClient,
  ) => Promise<readonly (RowChanges | undefined)[] | void> | readonly (RowChanges | undefined)[] | void;
  /** Row by row: returns what changes in it, or does it with `tx`. */
  readonly up?: (row: Row, tx: BatchClient) => Promise<RowChanges | void> | RowChanges | void;
  /** So many rows may fail (0 by default): they are left as they were, and kept with their reason. */
  readonly maxFailures?: number;
}

export interface BatchResult {
  /** Rows that went through, those of earlier attempts included. */
  readonly done: number;
  readonly failed: number;
  /** True when an earlier attempt had finished it. */
  readonly wasFinished: boolean;
}
