/** What a value is written for. */
export interface Place {
  /** The column, or the field. */
  readonly name: string;
  /** Of the column, as SQL writes it; of a domain what it is made of. */
  readonly type: string;
}

/** Types that have a NaN or an infinity. */
const ENDLESS = /^(?:real|double precision|numeric|date|timestamp.*)$/;
const JSON_TYPE = /^jsonb?$/;

/**
 * A value as text that PostgreSQL reads back as just that; null for SQL's NULL.
 *
 * @throws Error for what is no value of such a column: a promise that nobody awaited would otherwise be written as `{}`
 */
export function toText(value: unknown, place: Place): string | null {
  if (value === null || value === undefined) return null;
  const isJson = JSON_TYPE.test(place.type);
  const special = nullOfPrisma(value);
  if (special === 'DbNull' || (special === 'JsonNull' && isJson)) return special === 'DbNull' ? null : 'null';
  if (special !== undefined) throw refusal(place, `is Prisma.${special}`);
  if (isJson) return jsonText(value, place);
  if (!Array.isArray(value)) return scalarText(value, place);
  if (!place.type.endsWith('[]')) throw refusal(place, 'is a list');
  return arrayText(value, { name: place.name, type: place.type.slice(0, -2) });
}

function arrayText(values: readonly unknown[], place: Place): string {
  const parts = values.map((value) => {
    if (Array.isArray(value) && !JSON_TYPE.test(place.type)) return arrayText(value, place);
    const text = toText(value, place);
    return text === null ? 'NULL' : `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  });
  return `{${parts.join(',')}}`;
}

function scalarText(value: unknown, place: Place): string {
  switch (typeof value) {
    case 'string':
      // Node would write another character for half of one, and PostgreSQL takes no NUL.
      if (value.includes('\0')) throw refusal(place, 'holds a NUL character');
      if (!value.isWellFormed()) throw refusal(place, 'holds half a character (a lone surrogate)');
      return value;
    case 'number':
      if (!Number.isFinite(value) && !ENDLESS.test(place.type)) throw refusal(place, `is ${value}`);
      return Object.is(value, -0) ? '-0' : String(value);
    case 'bigint':
    case 'boolean':
      return String(value);
    default:
      return objectText(value, place);
  }
}

function objectText(value: unknown, place: Place): string {
  if (value instanceof Date) return dateText(value, place);
  if (value instanceof Uint8Array && place.type === 'bytea')
    return `\\x${Buffer.from(value).toString('hex')}`;
  // By these pg's intervals and Prisma's decimals say themselves.
  for (const method of ['toPostgres', 'toFixed'] as const)
    if (typeof value === 'object' && value !== null && method in value) {
      const say: unknown = Reflect.get(value, method);
      if (typeof say === 'function') return String(say.call(value));
    }
  throw refusal(place, describe(value));
}

/** ISO 8601, and years before 1 and after 9999 as PostgreSQL has them. */
function dateText(date: Date, place: Place): string {
  if (Number.isNaN(date.getTime())) throw refusal(place, 'is no date (Invalid Date)');
  // As Prisma has it: of the first day of 1970.
  if (place.type.startsWith('time with')) return date.toISOString().replace(/^[^T]*T/, '');
  const year = date.getUTCFullYear();
  const text = date.toISOString();
  if (year > 0 && year < 10_000) return text;
  const rest = text.replace(/^[+-]?\d+/, '');
  return year > 0 ? `${year}${rest}` : `${String(1 - year).padStart(4, '0')}${rest} BC`;
}

/** JSON leaves out, empties or rounds what it has no word for; here that is refused. */
function jsonText(value: unknown, place: Place): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, one: unknown) {
    const held = this[key];
    const special = nullOfPrisma(held);
    if (special === 'JsonNull') return null;
    if (typeof one === 'bigint') return rawJson(String(one));
    if (typeof one === 'number' && !Number.isFinite(one)) throw refusal(place, `holds ${one}`);
    if (held instanceof Date && Number.isNaN(held.getTime())) throw refusal(place, 'holds an Invalid Date');
    if (special !== undefined || isLostInJson(held)) throw refusal(place, `holds what ${describe(held)}`);
    return one;
  });
}

/** Not yet in TypeScript's library. */
function rawJson(text: string): unknown {
  return (JSON as unknown as { rawJSON(raw: string): unknown }).rawJSON(text);
}

function isLostInJson(value: unknown): boolean {
  if (typeof value === 'function' || typeof value === 'symbol') return true;
  const lost = [Map, Set, WeakMap, WeakSet, RegExp, Error, ArrayBuffer];
  return isThenable(value) || ArrayBuffer.isView(value) || lost.some((one) => value instanceof one);
}

/** For a database that takes the rest as it comes. @throws Error for what JSON would make nothing of. */
export function refuseLost(name: string, value: unknown): unknown {
  const isLost =
    typeof value === 'function' || typeof value === 'symbol' || value instanceof Map || value instanceof Set;
  if (isLost || isThenable(value)) throw new Error(`"${name}" ${describe(value)}`);
  return value;
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** Prisma's own words for nothing; they are objects, and there may be several copies of their class. */
function nullOfPrisma(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Reflect.get(value, Symbol.for('prisma.objectEnumValue')) !== true) return undefined;
  const say: unknown = Reflect.get(value, 'toString');
  return typeof say === 'function' ? /(?:Db|Json|Any)Null$/.exec(String(say.call(value)))?.[0] : undefined;
}

/** What it is, for people. */
export function describe(value: unknown): string {
  if (isThenable(value)) return 'is a promise: put "await" before it';
  if (typeof value === 'function' || typeof value === 'symbol') return `is a ${typeof value}`;
  if (Array.isArray(value)) return 'is a list';
  if (typeof value !== 'object' || value === null) return `is ${JSON.stringify(value)}`;
  const kind = value.constructor?.name ?? 'Object';
  const keys = Object.keys(value);
  if (kind !== 'Object') return `is a ${kind}`;
  const isOperation =
    keys.length === 1 && /^(?:set|push|increment|decrement|multiply|divide)$/.test(keys[0] ?? '');
  return isOperation ? `is { ${keys[0]} }: give the value itself` : 'is an object';
}

function refusal({ name, type }: Place, what: string): Error {
  return new Error(`"${name}" ${what}, which no ${type} can hold as it is`);
}
