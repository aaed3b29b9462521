import type { PrismaClient } from '../../generated/client.ts';
import type { BatchOptions, BatchRow } from './options.ts';
import type { Cursor, Source } from './source.ts';
import { readEnum } from './enums.ts';
import { ModelRow, type ReadRow } from './rows.ts';
import type { Target } from './target.ts';

interface Field {
  readonly name: string;
  readonly dbName?: string | null;
  readonly kind: string;
  readonly type: string;
}

interface Model {
  readonly dbName?: string | null;
  /** By `@@schema`. */
  readonly schema?: string | null;
  readonly fields: readonly Field[];
}

interface Delegate {
  findMany(query: object): Promise<BatchRow[]>;
  count(query: object): Promise<number>;
}

/** What a model needs of its database. */
export interface ModelTables<T extends Target> {
  /** @param schema by `@@schema` */
  find(table: string, schema: string | undefined, wanted: readonly string[] | undefined): Promise<T>;
  /** Keeps others from changing the rows of these keys until the transaction ends. */
  lock(target: T, keys: readonly Cursor[]): Promise<void>;
  /** It is for the progress only: undefined where it takes too long. */
  count(count: () => Promise<number>): Promise<number | undefined>;
  /** What is written for a value; `own` makes it the column's, of an enum. */
  toColumn(
    target: T,
    row: ReadRow,
    names: { readonly name: string; readonly column: string },
    value: unknown,
    own: (value: unknown) => unknown,
  ): unknown;
}

/** A model, by Prisma: its fields, its filters, its types. */
export async function modelSource<T extends Target>(
  prisma: PrismaClient,
  options: BatchOptions,
  tables: ModelTables<T>,
): Promise<Source & { readonly target: T }> {
  const name = options.model ?? '';
  const model = findModel(prisma, name);
  const fields = model.fields.filter(({ kind }) => kind !== 'object');
  const columns = new Map(fields.map((field) => [field.name, field.dbName ?? field.name]));
  const fieldOf = new Map([...columns].map(([field, column]) => [column, field]));
  const columnOf = (field: string): string => columns.get(field) ?? field;
  const wanted = options.key === undefined ? undefined : [options.key].flat().map(columnOf);
  const target = await tables.find(model.dbName ?? name, model.schema ?? undefined, wanted);
  const key = target.key.map((column) => fieldOf.get(column) ?? column);
  const typeOf = new Map(model.fields.map((field) => [field.name, field.type]));
  const enums = new Map(
    fields.filter(({ kind }) => kind === 'enum').map((field) => [field.name, readEnum(prisma, field.type)]),
  );
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
    toColumn: (row, field, value) =>
      tables.toColumn(target, row, { name: field, column: columnOf(field) }, value, (given) =>
        ofEnum(field, given, enums.get(field)),
      ),
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
      await tables.lock(target, keysOf(found));
      // As they are now that nobody else changes them.
      const rows = await delegate.findMany({
        where: { AND: [filter(after), { NOT: beyond(key, valuesOf(last)) }] },
        orderBy,
        ...(select === undefined ? {} : { select }),
      });
      return { rows: rows.map((row) => new ModelRow(row)), keys: keysOf(rows), last };
    },
    estimate: async (after) => await tables.count(async () => await delegate.count({ where: filter(after) })),
  };
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

/** @throws Error for what the enum does not have. */
function ofEnum(field: string, value: unknown, values: ReadonlyMap<string, string> | undefined): unknown {
  if (values === undefined || value === null) return value;
  if (Array.isArray(value)) return value.map((one) => ofEnum(field, one, values));
  const own = typeof value === 'string' ? values.get(value) : undefined;
  if (own !== undefined) return own;
  throw new Error(`"${field}" is ${JSON.stringify(value)}, and there are ${[...values.keys()].join(', ')}`);
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
