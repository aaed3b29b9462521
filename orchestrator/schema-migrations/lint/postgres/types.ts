/** A type as a column has it: its name without pg_catalog, its modifiers, how often it is an array. */
export interface ColumnType {
  readonly name: string;
  readonly modifiers: readonly number[];
  readonly dimensions: number;
}

export function formatType({ name, modifiers, dimensions }: ColumnType): string {
  const size = modifiers.length === 0 ? '' : `(${modifiers.join(', ')})`;
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
  if (from.name === to.name) return judgeModifiers(from, to);
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
  if (isUnlimited && lossless[from.name]?.includes(to.name)) return 'rewrite';
  if (to.name === 'text') return 'rewrite';
  if (to.name === 'numeric') return judgeIntoNumeric(from.name, to.modifiers);
  return 'unsafe';
}

const isText = (name: string) => name === 'text' || name === 'varchar' || name === 'bpchar';

/** The same type with other modifiers. */
function judgeModifiers(
  { name, modifiers: from }: ColumnType,
  { modifiers: to }: ColumnType,
): 'free' | 'rewrite' | 'unsafe' {
  if (from.join() === to.join() || to.length === 0) return 'free';
  const [size = Infinity, scale = 0] = to;
  const [oldSize, oldScale = 0] = from;
  if (oldSize === undefined) {
    // Without a modifier a time has six digits, a char one place, and the others no limit.
    if (['timestamp', 'timestamptz', 'time', 'timetz'].includes(name)) return size >= 6 ? 'free' : 'unsafe';
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
