import { types } from 'pg';
import type { PrismaClient } from '../../generated/client.ts';
import type { Session } from '../session.ts';
import { quote } from '../identifiers.ts';
import type { BatchOptions, BatchRow } from './options.ts';
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

interface Field {
  readonly name: string;
  readonly dbName?: string | null;
  readonly kind: string;
  readonly type: string;
}

interface Model {
  readonly dbName?: string | null;
  readonly fields: readonly Field[];
}

interface Delegate {
  findMany(query: object): Promise<BatchRow[]>;
  count(query: object): Promise<number>;
}

/** A model, by Prisma: its fields, its filters, its types. */
export async function openModel(
  session: Session,
  prisma: PrismaClient,
  options: BatchOptions,
): Promise<Source> {
  const name = options.model ?? '';
  const model = findModel(prisma, name);
  const columns = new Map(
    model.fields
      .filter(({ kind }) => kind !== 'object')
      .map((field) => [field.name, field.dbName ?? field.name]),
  );
  const fieldOf = new Map([...columns].map(([field, column]) => [column, field]));
  const columnOf = (field: string): string => columns.get(field) ?? field;
  const wanted = options.key === undefined ? undefined : [options.key].flat().map(columnOf);
  const target = await findTarget(session.client, model.dbName ?? name, wanted);
  const key = target.key.map((column) => fieldOf.get(column) ?? column);
  const typeOf = new Map(model.fields.map((field) => [field.name, field.type]));
  const delegate = (prisma as unknown as Record<string, Delegate>)[
    name.charAt(0).toLowerCase() + name.slice(1)
  ];
  if (delegate === undefined) throw new Error(`batch: the client has no model "${name}"`);
  const valuesOf = (texts: Cursor): unknown[] =>
    texts.map((text, index) => fromText(text, typeOf.get(key[index] ?? '')));
  const filter = (after: Cursor | undefined): object => ({
    AND: [options.where ?? {}, after === undefined ? {} : beyond(key, valuesOf(after))],
  });
  const select =
    options.select && Object.fromEntries([...options.select, ...key].map((field) => [field, true]));
  return {
    target,
    columnOf,
    async read(after, size) {
      const orderBy = key.map((field) => ({ [field]: 'asc' }));
      const found = await delegate.findMany({
        where: filter(after),
        orderBy,
        take: size,
        select: Object.fromEntries(key.map((field) => [field, true])),
      });
      const keysOf = (some: readonly BatchRow[]): Cursor[] =>
        some.map((row) => key.map((field) => toText(row[field])));
      const last = keysOf(found).at(-1);
      if (last === undefined) return { rows: [], keys: [], last };
      if (after !== undefined && last.join('\0') === after.join('\0'))
        throw new Error(
          `batch: Prisma cannot tell the keys (${key.join(', ')}) of ${name} apart; go by its "table" instead of the "model"`,
        );
      await lockRows(session, target, keysOf(found));
      // As they are now that nobody else changes them.
      const rows = await delegate.findMany({
        where: { AND: [filter(after), { NOT: beyond(key, valuesOf(last)) }] },
        orderBy,
        ...(select === undefined ? {} : { select }),
      });
      return { rows, keys: keysOf(rows), last };
    },
    estimate: async (after) => await delegate.count({ where: filter(after) }),
  };
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

function findModel(prisma: PrismaClient, name: string): Model {
  // Where a generated client keeps what the schema says; it has no other name for it.
  const data: unknown = Reflect.get(prisma, '_runtimeDataModel');
  const { models } = (data ?? { models: {} }) as { models: Readonly<Record<string, Model>> };
  const found = Object.hasOwn(models, name) ? models[name] : undefined;
  if (found === undefined)
    throw new Error(`batch: there is no model "${name}" (there are ${Object.keys(models).join(', ')})`);
  return found;
}

/** Rows after a key of several fields: the first is greater, or equal and the second is greater, and so on. */
function beyond(key: readonly string[], values: readonly unknown[]): object {
  return {
    OR: key.map((field, index) => ({
      ...Object.fromEntries(key.slice(0, index).map((earlier, at) => [earlier, values[at]])),
      [field]: { gt: values[index] },
    })),
  };
}

function toText(value: unknown): string {
  return value instanceof Date ? value.toISOString() : String(value);
}

function fromText(text: string, type: string | undefined): unknown {
  if (type === 'Int' || type === 'Float') return Number(text);
  if (type === 'BigInt') return BigInt(text);
  if (type === 'DateTime') return new Date(text);
  return text;
}
