import type { ColumnType } from './types.ts';

export interface Column {
  readonly type: ColumnType;
}

/** What the migrations so far have made: as much of it as the rules ask for. */
export class SchemaModel {
  readonly #tables = new Map<string, Map<string, Column>>();
  readonly #enums = new Map<string, readonly string[]>();

  hasTable(table: string): boolean {
    return this.#tables.has(table);
  }

  createTable(table: string): void {
    this.#tables.set(table, new Map());
  }

  dropTable(table: string): void {
    this.#tables.delete(table);
  }

  renameTable(table: string, to: string): void {
    const columns = this.#tables.get(table);
    this.#tables.delete(table);
    if (columns) this.#tables.set(to, columns);
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
