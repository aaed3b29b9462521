import { types } from 'pg';
import type { PrismaClient } from '../../generated/client.ts';
import type { Session } from '../session.ts';
import { quote } from '../identifiers.ts';
import type { BatchOptions, BatchRow } from './options.ts';
import { modelSource } from './model.ts';
import { findTarget, parameters, tuple, type Target } from './target.ts';
import { findEnd } from './update-range.ts';

/** A key as it is kept: text that PostgreSQL reads back as what it was. */
export type Cursor = readonly string[];

/** One batch's rows, in the order of their keys. */
export interface Chunk {
  readonly rows: readonly BatchRow[];
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
  read(after: Cursor | undefined, size: number): Promise<NextChunk>;
  /** How many rows there are after the cursor, or about as many. */
  estimate(after: Cursor | undefined): Promise<number | undefined>;
}

/** Counting ten million rows takes longer than it is worth. */
const COUNT_TIMEOUT_MS = 3000;

/** A table, by SQL. Rows are locked as they are read: what a callback works out of them must not be out of date. */
export async function openTable(session: Session, options: BatchOptions): Promise<Source> {
  const { client } = session;
  const target = await findTarget(client, options.table ?? '', options.key);
  const filter = typeof options.where === 'string' ? ` AND (${options.where})` : '';
  const key = tuple(target.key, 't');
  const keyTexts = target.key.map(
    (column, index) => `t.${quote.name(column)}::text AS "holdfast key ${index}"`,
  );
  const columns = options.select?.map((name) => `t.${quote.name(name)}`) ?? ['t.*'];
  const order = target.key.map((column) => `t.${quote.name(column)}`).join(', ');
  const from = (after: Cursor | undefined): string =>
    `FROM ${target.table} AS t WHERE ${after === undefined ? 'true' : `${key} > ${parameters(target, 1)}`}${filter}`;
  return {
    target,
    columnOf: (name) => name,
    async read(after, size) {
      // The end first: a row whose key another session changes while we wait for it would carry the cursor away.
      const where = typeof options.where === 'string' ? options.where : undefined;
      const last = await findEnd(client, target, { where, after, size });
      if (last === undefined) return { rows: [], keys: [], last };
      const { rows } = await client.query<BatchRow>({
        text: `SELECT ${[...columns, ...keyTexts].join(', ')} ${from(after)}
          AND ${key} <= ${parameters(target, 1 + (after?.length ?? 0))} ORDER BY ${order} FOR NO KEY UPDATE OF t`,
        values: [...(after ?? []), ...last],
        types: UTC,
      });
      return { rows, keys: rows.map((row) => takeKey(row, target.key.length)), last };
    },
    estimate: async (after) =>
      await countQuickly(session, `SELECT count(*)::float8 AS n ${from(after)}`, after, target, filter),
  };
}

const ZONELESS: ReadonlySet<number> = new Set([types.builtins.DATE, types.builtins.TIMESTAMP]);

/** Dates without a zone, as Prisma has them: by the zone of this machine they would not be written back as they were. */
const UTC = {
  getTypeParser(oid: number, format?: 'text' | 'binary'): (text: string) => unknown {
    if (!ZONELESS.has(oid)) return types.getTypeParser(oid, format) as (text: string) => unknown;
    return (text) => {
      const date = new Date(text.includes(' ') ? `${text.replace(' ', 'T')}Z` : `${text}T00:00:00Z`);
      return Number.isNaN(date.getTime()) ? text : date;
    };
  },
};

/** The key as text, which is then no part of the row any more. */
function takeKey(row: BatchRow, length: number): Cursor {
  return Array.from({ length }, (_, index) => {
    const name = `holdfast key ${index}`;
    const text = String(row[name]);
    delete row[name];
    return text;
  });
}

async function countQuickly(
  session: Session,
  sql: string,
  after: Cursor | undefined,
  target: Target,
  filter: string,
): Promise<number | undefined> {
  try {
    return await session.transaction(async () => {
      await session.client.query(`SET LOCAL statement_timeout = ${COUNT_TIMEOUT_MS}`);
      const { rows } = await session.client.query<{ n: number }>(sql, [...(after ?? [])]);
      return rows[0]?.n;
    });
  } catch {
    // It would not be right for a part of the table.
    if (filter !== '' || after !== undefined) return undefined;
    const { rows } = await session.client.query<{ n: number }>(
      'SELECT greatest(reltuples, 0)::float8 AS n FROM pg_class WHERE oid = to_regclass($1)',
      [target.table],
    );
    return rows[0]?.n;
  }
}

/** A model of a PostgreSQL database. */
export async function openModel(
  session: Session,
  prisma: PrismaClient,
  options: BatchOptions,
): Promise<Source> {
  return await modelSource(prisma, options, {
    find: async (table, wanted) => await findTarget(session.client, table, wanted),
    lock: async (target, keys) => await lockRows(session, target, keys),
  });
}

/** What a callback works out of the rows must not be out of date when it is written. */
async function lockRows(session: Session, target: Target, keys: readonly Cursor[]): Promise<void> {
  const names = target.key.map((_, index) => `k${index}`);
  const arrays = names.map((_, index) => `$${index + 1}::text[]`);
  const matches = target.key.map(
    (column, index) => `t.${quote.name(column)} = v.k${index}::${target.types.get(column)}`,
  );
  await session.client.query(
    `SELECT FROM ${target.table} AS t JOIN unnest(${arrays.join(', ')}) AS v(${names.join(', ')})
     ON ${matches.join(' AND ')} ORDER BY ${target.key.map((column) => `t.${quote.name(column)}`).join(', ')} FOR NO KEY UPDATE OF t`,
    target.key.map((_, index) => keys.map((texts) => texts[index] ?? null)),
  );
}
