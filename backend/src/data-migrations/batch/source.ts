import type { Session } from '../session.ts';
import { toPostgres } from './changes.ts';
import type { BatchOptions } from './options.ts';
import { AS_TEXT, Columns, TableRow, type ReadRow } from './rows.ts';
import { columnOf, findTarget, parameters, readTable, tuple, type PgTarget, type Target } from './target.ts';
import { also, beyond, findEnd, verifySql } from './update-range.ts';
import type { Place } from './values.ts';

/** A key as it is kept: text that PostgreSQL reads back as what it was. */
export type Cursor = readonly string[];

/** One batch's rows, in the order of their keys. */
export interface Chunk {
  readonly rows: readonly ReadRow[];
  readonly keys: readonly Cursor[];
}

/** `last`: how far it reaches, whatever became of its rows meanwhile; undefined when there was no row any more. */
export interface NextChunk extends Chunk {
  readonly last: Cursor | undefined;
}

/** Where a batch gets its rows from. */
export interface Source {
  readonly target: Target;
  /** What a change of a row's field or column is called in the table. */
  columnOf(name: string): string;
  /**
   * What is written for a value that a callback gave.
   *
   * @throws Error for a column that is not there, and for what it cannot hold as it is
   */
  toColumn(row: ReadRow, name: string, value: unknown): unknown;
  read(after: Cursor | undefined, size: number): Promise<NextChunk>;
  /** How many rows there are after the cursor, or about as many. */
  estimate(after: Cursor | undefined): Promise<number | undefined>;
}

/** The same of PostgreSQL. */
export interface PgSource extends Source {
  readonly target: PgTarget;
}

/** Counting ten million rows takes longer than it is worth. */
const COUNT_TIMEOUT_MS = 3000;

/** @throws Error for a column that the table does not have. */
export function placeOf({ columns, name: table }: PgTarget, column: string, name = column): Place {
  const found = columns.get(column);
  if (found === undefined) throw new Error(`batch: ${table} has no column "${column}"`);
  return { name, type: found.base };
}

/** A table, by SQL. Rows are locked as they are read: what a callback works out of them must not be out of date. */
export async function openTable(session: Session, options: BatchOptions): Promise<PgSource> {
  const { client } = session;
  const where = typeof options.where === 'string' ? options.where : undefined;
  const found = await findTarget(client, readTable(options.table ?? ''), options.key);
  const target = await verifySql(session, found, { set: options.set, where });
  const wanted = options.select && [...new Set([...options.select, ...target.key])];
  const columns = wanted?.map((name) => columnOf(target, name)) ?? [`${target.alias}.*`];
  const keys = target.key.map((column) => `${columnOf(target, column)}::text`);
  const order = target.key.map((column) => columnOf(target, column)).join(', ');
  const from = (after: Cursor | undefined): string =>
    `FROM ${target.table} WHERE ${beyond(target, after)}${also(where)}`;
  return {
    target,
    columnOf: (name) => name,
    toColumn: (row, name, value) => toPostgres(row, placeOf(target, name), value),
    async read(after, size) {
      // The end first: a row whose key another session changes while we wait for it would carry the cursor away.
      const last = (await findEnd(client, target, { where, after, size }))?.end;
      if (last === undefined) return { rows: [], keys: [], last };
      const { rows, fields } = await client.query<(string | null)[]>({
        text: `SELECT ${[...keys, ...columns].join(', ')} ${from(after)}
          AND ${tuple(target)} <= ${parameters(target, 1 + (after?.length ?? 0))} ORDER BY ${order} FOR NO KEY UPDATE OF ${target.alias}`,
        values: [...(after ?? []), ...last],
        rowMode: 'array',
        types: AS_TEXT,
      });
      const read = new Columns(fields.slice(keys.length), (name) => placeOf(target, name).type);
      return {
        rows: rows.map((texts) => new TableRow(read, texts.slice(keys.length))),
        keys: rows.map((texts) => texts.slice(0, keys.length).map(String)),
        last,
      };
    },
    estimate: async (after) =>
      await countQuickly(
        session,
        async () => {
          const sql = `SELECT count(*)::float8 AS n ${from(after)}`;
          return (await client.query<{ n: number }>(sql, [...(after ?? [])])).rows[0]?.n;
        },
        // It would not be right for a part of the table.
        where === undefined && after === undefined ? target : undefined,
      ),
  };
}

/** @param whole the table whose own estimate will do where the count takes too long */
export async function countQuickly(
  session: Session,
  count: () => Promise<number | undefined>,
  whole: PgTarget | undefined,
): Promise<number | undefined> {
  try {
    return await session.transaction(async () => {
      await session.client.query(`SET LOCAL statement_timeout = ${COUNT_TIMEOUT_MS}`);
      return await count();
    });
  } catch {
    if (whole === undefined) return undefined;
    const { rows } = await session.client.query<{ n: number }>(
      'SELECT greatest(reltuples, 0)::float8 AS n FROM pg_class WHERE oid = $1',
      [whole.oid],
    );
    return rows[0]?.n;
  }
}

/** What a callback works out of the rows must not be out of date when it is written. */
export async function lockRows(session: Session, target: PgTarget, keys: readonly Cursor[]): Promise<void> {
  const names = target.key.map((_, index) => `k${index}`);
  const arrays = names.map((_, index) => `$${index + 1}::text[]`);
  const matches = target.key.map(
    (column, index) =>
      `${columnOf(target, column)} = holdfast_new.k${index}::${target.columns.get(column)?.type}`,
  );
  await session.client.query(
    `SELECT FROM ${target.table} JOIN unnest(${arrays.join(', ')}) AS holdfast_new(${names.join(', ')})
     ON ${matches.join(' AND ')} ORDER BY ${target.key.map((column) => columnOf(target, column)).join(', ')} FOR NO KEY UPDATE OF ${target.alias}`,
    target.key.map((_, index) => keys.map((texts) => texts[index] ?? null)),
  );
}
