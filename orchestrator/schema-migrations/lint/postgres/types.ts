/** A type as a column has it: its name without pg_catalog, its modifiers, how often it is an array. */
export interface ColumnType {
  readonly name: string;
  readonly modifiers: readonly number[];
  readonly dimensions: number;
}

/** What a column is made of that is declared with one of the types that are short for a type and a sequence. */
export function storedType(type: ColumnType): ColumnType {
  return { ...type, name: serials[type.name] ?? type.name };
}

export const isSerial = ({ name }: ColumnType) => Object.hasOwn(serials, name);

const serials: Readonly<Record<string, string>> = {
  ...{ smallserial: 'int2', serial: 'int4', bigserial: 'int8' },
  ...{ serial2: 'int2', serial4: 'int4', serial8: 'int8' },
};

export function formatType({ name, modifiers, dimensions }: ColumnType): string {
  // An interval's first one is a mask of the fields that it has.
  const told = name === 'interval' ? modifiers.slice(1) : modifiers;
  const size = told.length === 0 ? '' : `(${told.join(', ')})`;
  return `${displayNames[name] ?? name}${size}${'[]'.repeat(dimensions)}`;
}

const displayNames: Readonly<Record<string, string>> = {
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  float4: 'real',
  float8: 'double precision',
  bool: 'boolean',
  bpchar: 'char',
};

/**
 * What PostgreSQL does to a table when a column gets another type: nothing but the catalog, a rewrite that keeps every
 * value, or a rewrite in which values may be refused, rounded or cut off.
 *
 * From PostgreSQL's documentation: "ALTER TABLE", Notes (binary coercible types and unconstrained domains need no
 * rewrite), and the casts of pg_cast that lose nothing.
 */
export function judgeTypeChange(from: ColumnType, to: ColumnType): 'free' | 'rewrite' | 'unsafe' {
  if (from.dimensions !== to.dimensions) return 'unsafe';
  if (from.name === to.name) return isTime(to.name) ? judgeTime(from, to) : judgeModifiers(from, to);
  if (from.dimensions > 0) return judgeTypeChange({ ...from, dimensions: 0 }, { ...to, dimensions: 0 });
  const isUnlimited = to.modifiers.length === 0;
  if (isText(from.name) && isText(to.name) && from.name !== 'bpchar') {
    if (to.name === 'bpchar') return 'unsafe';
    if (to.name === 'text' || isUnlimited) return 'free';
    return from.name === 'varchar' ? judgeModifiers(from, to) : 'unsafe';
  }
  // The blanks that fill it up go.
  if (from.name === 'bpchar' && isText(to.name)) return isUnlimited ? 'rewrite' : 'unsafe';
  if (from.name === 'cidr' && to.name === 'inet') return 'free';
  if (lossless[from.name]?.includes(to.name) && (isUnlimited || (isTime(to.name) && keepsDigits(from, to))))
    return 'rewrite';
  if (to.name === 'text') return 'rewrite';
  if (to.name === 'numeric') return judgeIntoNumeric(from.name, to.modifiers);
  return 'unsafe';
}

const isText = (name: string) => name === 'text' || name === 'varchar' || name === 'bpchar';

const isTime = (name: string) => /^(?:time|timetz|timestamp|timestamptz|interval)$/.test(name);

/** Digits of the second: six where it does not say. */
function digitsOf({ name, modifiers }: ColumnType): number {
  return name === 'date' ? 0 : (modifiers[name === 'interval' ? 1 : 0] ?? 6);
}

const keepsDigits = (from: ColumnType, to: ColumnType) => digitsOf(to) >= digitsOf(from);

/** All fields of an interval, as the grammar has it: INTERVAL_FULL_RANGE. */
const everyField = 0x7fff;

function judgeTime(from: ColumnType, to: ColumnType): 'free' | 'unsafe' {
  const [fields = everyField] = to.modifiers;
  const losesFields = to.name === 'interval' && fields !== everyField && fields !== from.modifiers[0];
  return keepsDigits(from, to) && !losesFields ? 'free' : 'unsafe';
}

/** The same type with other modifiers. */
function judgeModifiers(
  { name, modifiers: from }: ColumnType,
  { modifiers: to }: ColumnType,
): 'free' | 'rewrite' | 'unsafe' {
  if (from.join() === to.join() || to.length === 0) return 'free';
  const [size = Infinity, scale = 0] = to;
  const [oldSize, oldScale = 0] = from;
  if (oldSize === undefined) {
    // Without a modifier a char has one place, and the others no limit.
    return name === 'bpchar' && size >= 1 ? 'rewrite' : 'unsafe';
  }
  if (name === 'numeric')
    return scale === oldScale
      ? size >= oldSize
        ? 'free'
        : 'unsafe'
      : size - scale >= oldSize - oldScale && scale > oldScale
        ? 'rewrite'
        : 'unsafe';
  // char(n) and bit(n) are filled up: longer ones are other values.
  if (size >= oldSize) return name === 'bpchar' ? 'rewrite' : name === 'bit' ? 'unsafe' : 'free';
  return 'unsafe';
}

const lossless: Readonly<Record<string, readonly string[]>> = {
  int2: ['int4', 'int8', 'float4', 'float8', 'numeric'],
  int4: ['int8', 'float8', 'numeric'],
  int8: ['numeric'],
  float4: ['float8'],
  date: ['timestamp'],
  timestamp: ['timestamptz'],
  timestamptz: ['timestamp'],
  text: ['citext'],
  varchar: ['citext'],
  json: ['jsonb'],
  jsonb: ['json'],
  macaddr: ['macaddr8'],
};

/** Digits before the point that an integer may have. */
const digits: Readonly<Record<string, number>> = { int2: 5, int4: 10, int8: 19 };

function judgeIntoNumeric(
  from: string,
  [precision = Infinity, scale = 0]: readonly number[],
): 'rewrite' | 'unsafe' {
  const needed = digits[from];
  return needed !== undefined && precision - scale >= needed ? 'rewrite' : 'unsafe';
}
