import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';
import { ColumnTypeEnum, type ArgType, type ColumnType } from '@prisma/driver-adapter-utils';

/*
 * Values between JavaScript and SQLite, as Prisma's own adapters for SQLite have them (adapter-better-sqlite3 7.10): what
 * a migration writes must be what the application would have written.
 */

/** How dates are written: as Prisma 7 does, or in milliseconds as Prisma did before, and does if it is told to. */
export type TimestampFormat = 'iso8601' | 'unixepoch-ms';

/** Both are there: no date can be written, or looked for, until somebody says which one it is. */
export type FoundFormat = TimestampFormat | 'both';

const TYPES: Readonly<Record<string, ColumnType>> = {
  DECIMAL: ColumnTypeEnum.Numeric,
  FLOAT: ColumnTypeEnum.Float,
  DOUBLE: ColumnTypeEnum.Double,
  'DOUBLE PRECISION': ColumnTypeEnum.Double,
  NUMERIC: ColumnTypeEnum.Double,
  REAL: ColumnTypeEnum.Double,
  TINYINT: ColumnTypeEnum.Int32,
  SMALLINT: ColumnTypeEnum.Int32,
  MEDIUMINT: ColumnTypeEnum.Int32,
  INT: ColumnTypeEnum.Int32,
  INTEGER: ColumnTypeEnum.Int32,
  SERIAL: ColumnTypeEnum.Int32,
  INT2: ColumnTypeEnum.Int32,
  BIGINT: ColumnTypeEnum.Int64,
  'UNSIGNED BIG INT': ColumnTypeEnum.Int64,
  INT8: ColumnTypeEnum.Int64,
  DATETIME: ColumnTypeEnum.DateTime,
  TIMESTAMP: ColumnTypeEnum.DateTime,
  TIME: ColumnTypeEnum.Time,
  DATE: ColumnTypeEnum.Date,
  TEXT: ColumnTypeEnum.Text,
  CLOB: ColumnTypeEnum.Text,
  CHARACTER: ColumnTypeEnum.Text,
  VARCHAR: ColumnTypeEnum.Text,
  'VARYING CHARACTER': ColumnTypeEnum.Text,
  NCHAR: ColumnTypeEnum.Text,
  'NATIVE CHARACTER': ColumnTypeEnum.Text,
  NVARCHAR: ColumnTypeEnum.Text,
  BLOB: ColumnTypeEnum.Bytes,
  BOOLEAN: ColumnTypeEnum.Boolean,
  JSONB: ColumnTypeEnum.Json,
};

/** @param declared the type that the table gives the column; null for an expression, which goes by its first value */
export function columnTypeOf(declared: string | null, values: readonly SQLOutputValue[]): ColumnType {
  const known = declared === null ? undefined : TYPES[declared.toUpperCase()];
  if (known !== undefined) return known;
  const value = values.find((one) => one !== null);
  switch (typeof value) {
    case 'string':
      return ColumnTypeEnum.Text;
    case 'bigint':
      return ColumnTypeEnum.Int64;
    case 'number':
      return ColumnTypeEnum.UnknownNumber;
    case 'object':
      return ColumnTypeEnum.Bytes;
    default:
      return ColumnTypeEnum.Int32;
  }
}

/** A value as Prisma takes it from an adapter. */
export function toPrisma(value: SQLOutputValue, type: ColumnType): unknown {
  const isWhole = type === ColumnTypeEnum.Int32 || type === ColumnTypeEnum.Int64;
  if (typeof value === 'number') {
    if (type === ColumnTypeEnum.DateTime) return new Date(value).toISOString();
    return isWhole ? Math.trunc(value) : value;
  }
  if (typeof value === 'bigint') {
    if (type === ColumnTypeEnum.DateTime) return new Date(Number(value)).toISOString();
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value.toString();
  }
  return value instanceof Uint8Array ? Buffer.from(value) : value;
}

/** An argument of Prisma's as SQLite takes it. */
export function fromPrisma(value: unknown, type: ArgType | undefined, format: FoundFormat): SQLInputValue {
  const scalar = type?.scalarType;
  if (typeof value === 'string')
    switch (scalar) {
      case 'int':
      case 'bigint':
        return BigInt(value);
      case 'float':
      case 'decimal':
        return Number.parseFloat(value);
      case 'datetime':
        return toSqlite(new Date(value), format);
      case 'bytes':
        return Buffer.from(value, 'base64');
      default:
        return value;
    }
  return scalar === 'float' && typeof value === 'number' ? value : toSqlite(value, format);
}

/**
 * Any value as SQLite takes it. Node gives it every number as a real one, which a column of text keeps as "1.0".
 *
 * @throws Error for a date where the database has them in both forms
 */
export function toSqlite(value: unknown, format: FoundFormat): SQLInputValue {
  if (value === undefined || value === null) return null;
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value === 'string' || typeof value === 'bigint') return value;
  if (value instanceof Date) {
    if (format === 'both') throw new Error(BOTH_FORMS);
    return format === 'iso8601' ? value.toISOString().replace('Z', '+00:00') : BigInt(value.getTime());
  }
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'object' && 'toFixed' in value && typeof value.toFixed === 'function')
    return Number.parseFloat(String((value.toFixed as () => unknown)()));
  return JSON.stringify(value);
}

const BOTH_FORMS =
  'this database has dates both as text and in milliseconds, so it is unclear how to write one: set DATA_MIGRATION_TIMESTAMPS to iso8601 or unixepoch-ms, as the application writes them';

/** So many rows of a table are looked at. */
const LOOKED_AT = 1000;

/**
 * The form that the application's tables have their dates in: those of Prisma's own table are written by its schema engine.
 * What CURRENT_TIMESTAMP has written is of no client's form. `DATA_MIGRATION_TIMESTAMPS` says it outright.
 */
export function timestampFormatOf(database: DatabaseSync): FoundFormat {
  const said = process.env['DATA_MIGRATION_TIMESTAMPS'];
  if (said === 'iso8601' || said === 'unixepoch-ms') return said;
  if (said !== undefined && said !== '')
    throw new Error(`DATA_MIGRATION_TIMESTAMPS is "${said}"; it is iso8601 or unixepoch-ms`);
  const columns = database
    .prepare(
      `SELECT m.name AS "table", c.name AS "column" FROM sqlite_schema AS m, pragma_table_info(m.name) AS c
       WHERE m.type = 'table' AND upper(c.type) IN ('DATETIME', 'TIMESTAMP')
         AND m.name <> '_prisma_migrations' AND substr(m.name, 1, 9) <> 'holdfast_'`,
    )
    .all();
  const holds = (condition: string): boolean =>
    columns.some(({ table, column }) => {
      const [from, of] = [String(table), String(column)].map((name) => `"${name.replaceAll('"', '""')}"`);
      const sql = `SELECT 1 FROM (SELECT ${of} AS v FROM ${from} LIMIT ${LOOKED_AT}) WHERE ${condition} LIMIT 1`;
      return database.prepare(sql).get() !== undefined;
    });
  if (!holds(`typeof(v) = 'integer'`)) return 'iso8601';
  return holds(`typeof(v) = 'text' AND v LIKE '____-__-__T%'`) ? 'both' : 'unixepoch-ms';
}
