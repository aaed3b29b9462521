import { ColumnTypeEnum, type ArgType, type ColumnType } from '@prisma/driver-adapter-utils';
import type { SQLInputValue, SQLOutputValue } from 'node:sqlite';

/*
 * Values between the WebAssembly engine and SQLite, as `@prisma/adapter-better-sqlite3` 7.10 has them (`mapDeclType`,
 * `mapArg`, `mapRow`); that package itself wants a native build.
 */

const declared: readonly (readonly [ColumnType, readonly string[]])[] = [
  [ColumnTypeEnum.Numeric, ['DECIMAL']],
  [ColumnTypeEnum.Float, ['FLOAT']],
  [ColumnTypeEnum.Double, ['DOUBLE', 'DOUBLE PRECISION', 'NUMERIC', 'REAL']],
  [ColumnTypeEnum.Int32, ['TINYINT', 'SMALLINT', 'MEDIUMINT', 'INT', 'INTEGER', 'SERIAL', 'INT2']],
  [ColumnTypeEnum.Int64, ['BIGINT', 'UNSIGNED BIG INT', 'INT8']],
  [ColumnTypeEnum.DateTime, ['DATETIME', 'TIMESTAMP']],
  [ColumnTypeEnum.Time, ['TIME']],
  [ColumnTypeEnum.Date, ['DATE']],
  [ColumnTypeEnum.Text, ['TEXT', 'CLOB', 'CHARACTER', 'VARCHAR', 'VARYING CHARACTER', 'NCHAR', 'NVARCHAR']],
  [ColumnTypeEnum.Bytes, ['BLOB']],
  [ColumnTypeEnum.Boolean, ['BOOLEAN']],
  [ColumnTypeEnum.Json, ['JSONB']],
];
const typeOfName = new Map(declared.flatMap(([type, names]) => names.map((name) => [name, type] as const)));

/** The type of a column: the declared one, else that of its first value. */
export function columnTypeOf(declaredType: string | null, values: readonly SQLOutputValue[]): ColumnType {
  const known = declaredType === null ? undefined : typeOfName.get(declaredType.toUpperCase());
  if (known !== undefined) return known;
  const value = values.find((one) => one !== null);
  if (typeof value === 'string') return ColumnTypeEnum.Text;
  if (typeof value === 'bigint') return ColumnTypeEnum.Int64;
  if (typeof value === 'number') return ColumnTypeEnum.UnknownNumber;
  return value === undefined || value === null ? ColumnTypeEnum.Int32 : ColumnTypeEnum.Bytes;
}

/** A value as the engine takes it. */
export function fromSqlite(value: SQLOutputValue, type: ColumnType): unknown {
  const isNumber = typeof value === 'number' || typeof value === 'bigint';
  if (isNumber && type === ColumnTypeEnum.DateTime) return new Date(Number(value)).toISOString();
  if (typeof value === 'bigint')
    return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  return value;
}

/** A parameter as SQLite takes it. */
export function toSqlite(value: unknown, type: ArgType | undefined): SQLInputValue {
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (value instanceof Date) return value.toISOString().replace('Z', '+00:00');
  if (typeof value !== 'string') return value as SQLInputValue;
  switch (type?.scalarType) {
    case 'int':
      return Number.parseInt(value, 10);
    case 'float':
    case 'decimal':
      return Number.parseFloat(value);
    case 'bigint':
      return BigInt(value);
    case 'datetime':
      return new Date(value).toISOString().replace('Z', '+00:00');
    case 'bytes':
      return Buffer.from(value, 'base64');
    default:
      return value;
  }
}
