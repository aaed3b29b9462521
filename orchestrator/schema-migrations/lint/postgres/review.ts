import type { Constraint, RangeVar } from 'libpg-query';
import type { Remark, Severity, TableSizes } from '../finding.ts';
import { rules, type RuleName } from '../rules.ts';
import { ColumnChanges } from './column-changes.ts';
import { ConstraintChanges } from './constraint-changes.ts';
import { KnownSizes } from './known-sizes.ts';
import { RelationNames } from './relation-names.ts';
import type { Routine } from './routines.ts';
import type { Column, SchemaModel } from './schema-model.ts';

/**
 * One migration while it is looked through: the schema that those before it have made, what this one has done so far,
 * and what was found.
 */
export class Review {
  readonly schema: SchemaModel;
  readonly remarks: Remark[] = [];
  /** A migration of one statement runs outside of a transaction. */
  readonly isAlone: boolean;
  readonly #sizes: KnownSizes;
  readonly #created = new Set<string>();
  readonly #renamedTypes = new Set<string>();
  readonly #createdTypes = new Set<string>();
  /** What a statement's calls have had looked at so far. */
  readonly #lookedAt = new Set<Routine>();
  /** Blocks and functions that surround what is looked at. */
  #depth = 0;
  readonly names = new RelationNames((table) => this.isThere(table));
  readonly #columns = new ColumnChanges();
  readonly constraints = new ConstraintChanges();
  /** Whether the rest of the file gives up on a lock that it does not get. */
  hasLockTimeout = false;
  #firstLock: { line: number; table: string } | undefined;

  constructor(schema: SchemaModel, options: { isAlone: boolean; sizes?: TableSizes | undefined }) {
    this.schema = schema;
    this.isAlone = options.isAlone;
    this.#sizes = new KnownSizes(options.sizes);
  }

  /** A relation's name for the lint. */
  keyOf(relation: RangeVar | undefined): string {
    return this.names.keyOf(relation?.schemaname, relation?.relname ?? '');
  }

  /**
   * Looks at what may run or not: the body of a block or a function, with its IF and its EXCEPTION. What it makes may
   * have been there before.
   */
  perhaps(look: () => void): void {
    if (this.#isCertain) this.#lookedAt.clear();
    this.#depth += 1;
    try {
      look();
    } finally {
      this.#depth -= 1;
    }
  }

  get #isCertain(): boolean {
    return this.#depth === 0;
  }

  /** Whether a table of that name is known to be there now, by the files or by the database. */
  isThere(table: string): boolean {
    return this.schema.hasTable(table) || this.#sizes.of(table) !== undefined;
  }

  /** Whether there surely is no table of that name: neither the files nor the database have one. */
  isKnownMissing(table: string): boolean {
    return !this.schema.hasRenamedSchema && !this.schema.hasTable(table) && this.#sizes.lacks(table);
  }

  /** Whether the table was there before this migration. What is new is empty, and nobody uses it. */
  isOld(table: string): boolean {
    return !this.#created.has(table);
  }

  /** @returns the table's name for the lint; undefined where nothing is known by it of that table */
  create(relation: RangeVar | undefined): string | undefined {
    if (!relation) return undefined;
    const isTemporary = relation.relpersistence === 't';
    if (!this.#isCertain && !this.isKnownMissing(this.keyOf(relation))) {
      const known = this.keyOf(relation);
      if (isTemporary || this.schema.hasTable(known)) return undefined;
      this.schema.createTable(known);
      return known;
    }
    const table = this.names.keyOfNew(relation, isTemporary);
    this.#created.add(table);
    this.#sizes.forget(table);
    this.schema.createTable(table);
    return table;
  }

  drop(table: string): void {
    this.#created.delete(table);
    this.names.reveal(table);
    this.#sizes.forget(table);
    this.#columns.dropTable(table);
    if (this.#isCertain) this.constraints.dropTable(table);
    this.schema.dropTable(table);
  }

  rename(table: string, to: string): void {
    if (this.#created.delete(table) && this.#isCertain) this.#created.add(to);
    else this.#created.delete(to);
    this.#columns.renameTable(table, this.#isCertain ? to : undefined);
    this.schema.renameTable(table, to);
    if (this.#isCertain) {
      this.constraints.renameTable(table, to);
      this.#sizes.rename(table, to);
    } else {
      // It may still be there by its old name.
      this.#sizes.alias(table, to);
      this.schema.createTable(table);
      this.schema.doubtColumns(to);
    }
  }

  createType(type: string): void {
    if (this.#isCertain) this.#createdTypes.add(type);
  }

  createEnum(type: string, values: readonly string[]): void {
    if (this.#isCertain || !this.schema.enumValues(type)) this.schema.setEnum(type, values);
  }

  isNewType(type: string): boolean {
    return this.#createdTypes.has(type);
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
    if (this.isOld(table) && this.#isCertain) this.#columns.add(table, name, column);
  }

  /** Whether this migration has added the column. */
  isNewColumn(table: string, name: string): boolean {
    return this.#columns.isNew(table, name);
  }

  renameColumn(table: string, name: string, to: string): void {
    this.#columns.rename(table, name, this.#isCertain ? to : undefined);
    if (!this.#isCertain) this.schema.doubtColumns(table);
    this.schema.renameColumn(table, name, to);
  }

  dropColumn(table: string, name: string, line: number): void {
    if (!this.#isCertain) this.schema.doubtColumns(table);
    this.#columns.drop(table, { name, column: this.schema.column(table, name), line });
    this.schema.dropColumn(table, name);
  }

  addConstraint(table: string, constraint: Constraint): void {
    if (this.#isCertain) this.constraints.add(table, constraint);
  }

  dropConstraint(table: string, name: string, line: number): void {
    this.schema.dropConstraint(table, name);
    if (this.isOld(table)) this.constraints.drop({ table, name, line });
  }

  define(routine: Routine): void {
    this.schema.routines.define(routine, this.#isCertain);
  }

  /** Has what a call of that name may run looked at, once for each statement of the file. */
  call(name: string, look: (routine: Routine) => void): void {
    for (const routine of this.schema.routines.named(name))
      this.perhaps(() => {
        if (this.#lookedAt.has(routine)) return;
        this.#lookedAt.add(routine);
        look(routine);
      });
  }

  /** A statement that keeps others away from a table. */
  lock(table: string, line: number): void {
    if (this.isOld(table) && !this.hasLockTimeout) this.#firstLock ??= { line, table };
  }

  report(rule: RuleName, line: number, message: string, more: Partial<Remark> = {}): void {
    this.remarks.push({ rule, line, message, ...more });
  }

  /** What takes rows away: no loss where there are none. */
  reportLoss(rule: RuleName, line: number, table: string, message: string): void {
    if (!this.isOld(table)) return;
    const isEmpty = this.#sizes.of(table)?.rows === 0;
    this.report(rule, line, `${message}${this.#sizes.describe(table)}`, {
      table,
      destructive: !isEmpty,
      ...(isEmpty ? { severity: 'info' } : {}),
    });
  }

  /** What takes the longer the bigger the table is; on a new or a small one it is no matter. */
  reportWork(rule: RuleName, line: number, table: string, message: string): void {
    const severity = this.#severityOfWork(table, rules[rule].severity);
    if (severity) this.report(rule, line, `${message}${this.#sizes.describe(table)}`, { table, severity });
  }

  /**
   * What fails because of rows that may be there, whatever their number.
   *
   * @param isWaited for by others, the longer the bigger the table is
   */
  reportRisk(rule: RuleName, line: number, table: string, message: string, isWaited = true): void {
    if (!this.isOld(table) || this.#sizes.of(table)?.rows === 0) return;
    const severity = (isWaited ? this.#severityOfWork(table, rules[rule].severity) : undefined) ?? 'warning';
    this.report(rule, line, `${message}${this.#sizes.describe(table)}`, {
      table,
      severity: rules[rule].severity === 'error' ? 'error' : severity,
    });
  }

  #severityOfWork(table: string, unknown: Severity): Severity | undefined {
    return this.isOld(table) ? this.#sizes.severityOfWork(table, unknown) : undefined;
  }

  /** What only the whole file tells. */
  finish(): void {
    for (const { table, name, line, other } of this.#columns.possibleRenames())
      this.reportLoss(
        'possible-rename',
        line,
        table,
        `drops ${table}.${name} and adds ${table}.${other} of the same type`,
      );
    for (const { table, name, line } of this.constraints.unreplaced())
      this.report('drop-constraint', line, `drops the constraint ${name} of ${table}`, { table });
    if (this.#firstLock)
      this.report(
        'no-lock-timeout',
        this.#firstLock.line,
        `locks ${this.#firstLock.table} without a lock_timeout`,
        { table: this.#firstLock.table },
      );
  }
}
