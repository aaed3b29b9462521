import type { Remark, Severity, TableSizes } from '../finding.ts';
import { rules, type RuleName } from '../rules.ts';
import type { SchemaModel } from './schema-model.ts';
import type { Column } from './schema-model.ts';

/** A table that is so small that no lock on it is ever noticed. */
const smallTableRows = 10_000;
/** From here on it is noticed by everybody. */
const bigTableRows = 1_000_000;

/**
 * One migration while it is looked through: the schema that those before it have made, what this one has done so far,
 * and what was found.
 */
export class Review {
  readonly schema: SchemaModel;
  readonly remarks: Remark[] = [];
  /** A migration of one statement runs outside of a transaction. */
  readonly isAlone: boolean;
  readonly #sizes: TableSizes | undefined;
  readonly #created = new Set<string>();
  readonly #dropped = new Map<string, { name: string; column: Column | undefined; line: number }[]>();
  readonly #added = new Map<string, Map<string, Column>>();
  readonly #renamedTypes = new Set<string>();
  #hasLockTimeout = false;
  #firstLock: { line: number; table: string } | undefined;

  constructor(schema: SchemaModel, options: { isAlone: boolean; sizes?: TableSizes | undefined }) {
    this.schema = schema;
    this.isAlone = options.isAlone;
    this.#sizes = options.sizes;
  }

  /** Whether the table was there before this migration. What is new is empty, and nobody uses it. */
  isOld(table: string): boolean {
    return !this.#created.has(table);
  }

  create(table: string): void {
    this.#created.add(table);
    this.schema.createTable(table);
  }

  rename(table: string, to: string): void {
    if (this.#created.delete(table)) this.#created.add(to);
    this.schema.renameTable(table, to);
  }

  /** A type that made room for another one: to drop it is how an enum is replaced. */
  renameType(type: string, to: string): void {
    this.#renamedTypes.add(to);
    this.schema.renameType(type, to);
  }

  isReplacedType(type: string): boolean {
    return this.#renamedTypes.has(type);
  }

  addColumn(table: string, name: string, column: Column): void {
    this.schema.setColumn(table, name, column);
    if (!this.isOld(table)) return;
    const columns = this.#added.get(table) ?? new Map<string, Column>();
    this.#added.set(table, columns.set(name, column));
  }

  /** Whether this migration has added the column. */
  isNewColumn(table: string, name: string): boolean {
    return this.#added.get(table)?.has(name) ?? false;
  }

  dropColumn(table: string, name: string, line: number): void {
    const column = this.schema.column(table, name);
    this.#dropped.set(table, [...(this.#dropped.get(table) ?? []), { name, column, line }]);
    this.schema.dropColumn(table, name);
  }

  /** The settings of the session that the rest of the file has. */
  set(name: string): void {
    if (name === 'lock_timeout') this.#hasLockTimeout = true;
  }

  /** A statement that keeps others away from a table. */
  lock(table: string, line: number): void {
    if (this.isOld(table) && !this.#hasLockTimeout) this.#firstLock ??= { line, table };
  }

  report(rule: RuleName, line: number, message: string, more: Partial<Remark> = {}): void {
    this.remarks.push({ rule, line, message, ...more });
  }

  /** What takes rows away: no loss where there are none. */
  reportLoss(rule: RuleName, line: number, table: string, message: string): void {
    if (!this.isOld(table)) return;
    const isEmpty = this.#sizes?.get(table)?.rows === 0;
    this.report(rule, line, `${message}${this.#sizeOf(table)}`, {
      table,
      destructive: !isEmpty,
      ...(isEmpty ? { severity: 'info' } : {}),
    });
  }

  /** What takes the longer the bigger the table is; on a new or a small one it is no matter. */
  reportWork(rule: RuleName, line: number, table: string, message: string): void {
    const severity = this.#severityOfWork(table, rules[rule].severity);
    if (severity) this.report(rule, line, `${message}${this.#sizeOf(table)}`, { table, severity });
  }

  /** What fails because of rows that may be there, whatever their number. */
  reportRisk(rule: RuleName, line: number, table: string, message: string): void {
    if (!this.isOld(table) || this.#sizes?.get(table)?.rows === 0) return;
    const severity = this.#severityOfWork(table, rules[rule].severity) ?? 'warning';
    this.report(rule, line, `${message}${this.#sizeOf(table)}`, {
      table,
      severity: rules[rule].severity === 'error' ? 'error' : severity,
    });
  }

  #severityOfWork(table: string, unknown: Severity): Severity | undefined {
    if (!this.isOld(table)) return undefined;
    const rows = this.#sizes?.get(table)?.rows;
    if (rows === undefined) return unknown;
    return rows < smallTableRows ? undefined : rows < bigTableRows ? 'warning' : 'error';
  }

  #sizeOf(table: string): string {
    const size = this.#sizes?.get(table);
    return size === undefined ? '' : ` (${size.rows.toLocaleString('en-US')} rows)`;
  }

  /** What only the whole file tells. */
  finish(): void {
    for (const [table, dropped] of this.#dropped)
      for (const { name, column, line } of dropped)
        for (const [other, { type }] of this.#added.get(table) ?? [])
          if (other !== name && column && JSON.stringify(column.type) === JSON.stringify(type))
            this.reportLoss(
              'possible-rename',
              line,
              table,
              `drops ${table}.${name} and adds ${table}.${other} of the same type`,
            );
    if (this.#firstLock)
      this.report(
        'no-lock-timeout',
        this.#firstLock.line,
        `locks ${this.#firstLock.table} without a lock_timeout`,
        {
          table: this.#firstLock.table,
        },
      );
  }
}
