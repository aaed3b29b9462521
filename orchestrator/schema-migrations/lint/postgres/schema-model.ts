import { Routines } from './routines.ts';
import type { ColumnType } from './types.ts';

export interface Column {
  readonly type: ColumnType;
}

/** What the migrations so far have made: as much of it as the rules ask for. */
export class SchemaModel {
  readonly #tables = new Map<string, Map<string, Column>>();
  /** Tables of which every column is known, by a CREATE TABLE that lists them. */
  readonly #whole = new Set<string>();
  readonly routines = new Routines();
  /** From here on nobody knows by its name that a table is not there. */
  hasRenamedSchema = false;
  readonly #enums = new Map<string, readonly string[]>();
  readonly #strictDomains = new Set<string>();
  readonly #constrainedDomains = new Set<string>();
  /** By table and constraint: columns that a CHECK keeps from being null, and whether every row was looked at. */
  readonly #notNull = new Map<
    string,
    Map<string, { readonly columns: readonly string[]; isValid: boolean }>
  >();

  hasTable(table: string): boolean {
    return this.#tables.has(table);
  }

  createTable(table: string): void {
    this.#tables.set(table, new Map());
  }

  dropTable(table: string): void {
    this.#tables.delete(table);
    this.#whole.delete(table);
    this.#notNull.delete(table);
  }

  renameTable(table: string, to: string): void {
    const columns = this.#tables.get(table);
    this.#tables.delete(table);
    // One that no file has made is there all the same.
    this.#tables.set(to, columns ?? new Map<string, Column>());
    if (this.#whole.delete(table)) this.#whole.add(to);
    const checks = this.#notNull.get(table);
    this.#notNull.delete(table);
    if (checks) this.#notNull.set(to, checks);
  }

  /** Nothing but what the files say is in the table. */
  trustColumns(table: string): void {
    this.#whole.add(table);
  }

  doubtColumns(table: string): void {
    this.#whole.delete(table);
  }

  /** Whether the table is known, and surely has no such column. */
  lacksColumn(table: string, name: string): boolean {
    return this.#whole.has(table) && this.column(table, name) === undefined;
  }

  column(table: string, name: string): Column | undefined {
    return this.#tables.get(table)?.get(name);
  }

  setColumn(table: string, name: string, column: Column): void {
    this.#tables.get(table)?.set(name, column);
  }

  dropColumn(table: string, name: string): void {
    this.#tables.get(table)?.delete(name);
  }

  renameColumn(table: string, name: string, to: string): void {
    const column = this.column(table, name);
    this.dropColumn(table, name);
    if (column) this.setColumn(table, to, column);
  }

  /** A domain that must have a value, and has none of its own. */
  addStrictDomain(domain: string): void {
    this.#strictDomains.add(domain);
  }

  isStrictDomain(type: string): boolean {
    return this.#strictDomains.has(type);
  }

  /** A domain that asks something of its values, of a new column's too: PostgreSQL writes every row to find out. */
  addConstrainedDomain(domain: string): void {
    this.#constrainedDomains.add(domain);
  }

  isConstrainedDomain(type: string): boolean {
    return this.#constrainedDomains.has(type);
  }

  /** A CHECK by which columns are never null. */
  addNotNullCheck(table: string, name: string, columns: readonly string[], isValid: boolean): void {
    const checks =
      this.#notNull.get(table) ?? new Map<string, { columns: readonly string[]; isValid: boolean }>();
    this.#notNull.set(table, checks.set(name, { columns, isValid }));
  }

  validateConstraint(table: string, name: string): void {
    const check = this.#notNull.get(table)?.get(name);
    if (check) check.isValid = true;
  }

  dropConstraint(table: string, name: string): void {
    this.#notNull.get(table)?.delete(name);
  }

  /** Whether a CHECK proves that there is no null in it, so that nobody has to look. */
  isProvenNotNull(table: string, column: string): boolean {
    return [...(this.#notNull.get(table)?.values() ?? [])].some(
      ({ columns, isValid }) => isValid && columns.includes(column),
    );
  }

  enumValues(type: string): readonly string[] | undefined {
    return this.#enums.get(type);
  }

  setEnum(type: string, values: readonly string[]): void {
    this.#enums.set(type, values);
  }

  /** Columns of the type get the new name with it. */
  renameType(type: string, to: string): void {
    const values = this.#enums.get(type);
    this.#enums.delete(type);
    if (values) this.#enums.set(to, values);
    for (const columns of this.#tables.values())
      for (const [name, column] of columns)
        if (column.type.name === type) columns.set(name, { type: { ...column.type, name: to } });
  }
}
