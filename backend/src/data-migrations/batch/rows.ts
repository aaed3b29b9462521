import { isDeepStrictEqual } from 'node:util';
import { types, type FieldDef } from 'pg';
import type { BatchRow } from './options.ts';

/** A row as it was read. What a callback is given is a copy: it may change that, and be called again. */
export interface ReadRow {
  copy(): BatchRow;
  /** As it was read. */
  get(name: string): unknown;
  /** True for a value that is still the one that was read by this name. */
  isUnchanged(name: string, value: unknown): boolean;
  /** The database's own text of what was read, whole, from another column of this type: for a copy of it. */
  textOf(value: unknown, type: string): string | undefined;
  /** A number of the row's JSON that JavaScript cannot hold, and that this text would write as it holds it. */
  findRounded(text: string): string | undefined;
}

type Parser = (text: string) => unknown;

const [DATE, TIMESTAMP, NUMERIC]: readonly [number, number, number] = [
  types.builtins.DATE,
  types.builtins.TIMESTAMP,
  types.builtins.NUMERIC,
];
const ARRAYS: ReadonlyMap<number, number> = new Map([
  [1182, DATE],
  [1115, TIMESTAMP],
  [1231, NUMERIC],
]);

/**
 * Dates without a zone are read as Prisma has them: by the zone of this machine they would not be written back as they
 * were. So are those in lists; and numeric stays text in a list as it does alone.
 */
function parserOf(oid: number): Parser {
  if (oid === DATE || oid === TIMESTAMP) return parseZoneless;
  const element = ARRAYS.get(oid);
  if (element === undefined) return types.getTypeParser(oid, 'text') as Parser;
  const parse = element === NUMERIC ? String : parseZoneless;
  return (text) => parseList(text, parse);
}

/** What pg-types does with a list; its type says otherwise. */
function parseList(text: string, parse: Parser): unknown[] {
  const { create } = types.arrayParser as unknown as {
    create(text: string, parse: Parser): { parse(): unknown[] };
  };
  return create(text, parse).parse();
}

function parseZoneless(text: string): unknown {
  const date = new Date(text.includes(' ') ? `${text.replace(' ', 'T')}Z` : `${text}T00:00:00Z`);
  return Number.isNaN(date.getTime()) ? text : date;
}

/** For a query: every value as the text that the database sent. */
export const AS_TEXT = { getTypeParser: () => (text: string) => text };

/** Columns of a table, in the order of a row's texts. */
export class Columns {
  readonly names: readonly string[];
  readonly types: readonly string[];
  readonly #parsers: readonly Parser[];
  readonly #json: readonly number[];

  constructor(fields: readonly FieldDef[], typeOf: (name: string) => string) {
    this.names = fields.map(({ name }) => name);
    this.types = this.names.map(typeOf);
    this.#parsers = fields.map(({ dataTypeID }) => parserOf(dataTypeID));
    this.#json = this.types.flatMap((type, index) => (type.startsWith('json') ? [index] : []));
  }

  parse(index: number, text: string | null): unknown {
    return text === null ? null : this.#parsers[index]?.(text);
  }

  jsonOf(texts: readonly (string | null)[]): string[] {
    return this.#json.flatMap((index) => texts[index] ?? []);
  }
}

/** A row of a table, by the texts that the database sent. */
export class TableRow implements ReadRow {
  readonly #columns: Columns;
  readonly #texts: readonly (string | null)[];
  #given: BatchRow = {};

  constructor(columns: Columns, texts: readonly (string | null)[]) {
    this.#columns = columns;
    this.#texts = texts;
  }

  copy(): BatchRow {
    const row: BatchRow = {};
    this.#columns.names.forEach((name, index) => {
      row[name] = this.#columns.parse(index, this.#texts[index] ?? null);
    });
    this.#given = { ...row };
    return row;
  }

  get(name: string): unknown {
    const index = this.#columns.names.indexOf(name);
    return index < 0 ? undefined : this.#columns.parse(index, this.#texts[index] ?? null);
  }

  isUnchanged(name: string, value: unknown): boolean {
    const index = this.#columns.names.indexOf(name);
    return index >= 0 && this.#isRead(index, value);
  }

  #isRead(index: number, value: unknown): boolean {
    const text = this.#texts[index] ?? null;
    // Parsed anew: what the callback was given it may have changed in place.
    return isSame(
      value,
      isObject(value) ? this.#columns.parse(index, text) : this.#given[this.#nameOf(index)],
    );
  }

  #nameOf(index: number): string {
    return this.#columns.names[index] ?? '';
  }

  textOf(value: unknown, type: string): string | undefined {
    const isIt = isObject(value)
      ? (index: number) => this.#given[this.#nameOf(index)] === value && this.#isRead(index, value)
      : // A number or a text of JSON: any column that was read as the same.
        (index: number) => type.startsWith('json') && value !== null && this.#isRead(index, value);
    const texts = this.#columns.types.flatMap((own, index) =>
      own === type && isIt(index) ? (this.#texts[index] ?? []) : [],
    );
    // Two that JavaScript holds as one are not told apart.
    return new Set(texts).size === 1 ? texts[0] : undefined;
  }

  findRounded(text: string): string | undefined {
    for (const json of this.#columns.jsonOf(this.#texts)) {
      // Most have no number of more than 15 digits.
      if (!/[\d.]{16}|\d[eE]/.test(json)) continue;
      const rounded = roundedNumbers(json).find(([, held]) => text.includes(held));
      if (rounded) return rounded[0];
    }
    return undefined;
  }
}

/** A row that Prisma read: it has no texts of it. */
export class ModelRow implements ReadRow {
  readonly #row: BatchRow;

  constructor(row: BatchRow) {
    this.#row = row;
  }

  copy(): BatchRow {
    return Object.fromEntries(Object.entries(this.#row).map(([name, value]) => [name, copyOf(value)]));
  }

  get(name: string): unknown {
    return this.#row[name];
  }

  isUnchanged(name: string, value: unknown): boolean {
    return Object.hasOwn(this.#row, name) && isSame(value, this.#row[name]);
  }

  textOf(): undefined {
    return undefined;
  }

  findRounded(): undefined {
    return undefined;
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

function isSame(one: unknown, other: unknown): boolean {
  return isObject(one) ? isDeepStrictEqual(one, other) : Object.is(one, other);
}

/** Of what can be changed in place; decimals cannot. */
function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (value instanceof Date) return new Date(value);
  if (value instanceof Uint8Array) return value.slice();
  if (!isObject(value) || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value as object).map(([key, one]) => [key, copyOf(one)]));
}

/** Numbers of a JSON text that are another one in JavaScript: as they are, and as they are held. */
function roundedNumbers(json: string): [text: string, held: string][] {
  const found: [string, string][] = [];
  const parse = JSON.parse as (
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ) => unknown;
  // A list of JSON has it in quotes.
  const whole = json.startsWith('{"') || json.startsWith('{N') ? asList(json) : [json];
  for (const text of whole)
    parse(text, (_key, value, { source }) => {
      if (typeof value === 'number' && source !== undefined && decimal(source) !== decimal(String(value)))
        found.push([source, String(value)]);
      return value;
    });
  return found;
}

/** A JSON text is one; PostgreSQL's text of a list of them is not. */
function asList(json: string): string[] {
  try {
    JSON.parse(json);
    return [json];
  } catch {
    return parseList(json, (text) => text) as string[];
  }
}

/** One way to write a number. */
function decimal(text: string): string {
  const [, sign = '', whole = '', part = '', power = '0'] =
    /^([+-]?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(text) ?? [];
  const digits = `${whole}${part}`.replace(/^0+/, '');
  const bare = digits.replace(/0+$/, '');
  return bare === '' ? '0' : `${sign}${bare}e${Number(power) - part.length + digits.length - bare.length}`;
}
