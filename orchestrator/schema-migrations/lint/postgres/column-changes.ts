import type { Column } from './schema-model.ts';

interface Dropped {
  readonly name: string;
  /** As it was; undefined where nothing is known of it. */
  readonly column: Column | undefined;
  readonly line: number;
}

/** The columns that one migration adds to and drops from tables that were there before it. */
export class ColumnChanges {
  readonly #added = new Map<string, Map<string, Column>>();
  readonly #dropped = new Map<string, Dropped[]>();

  add(table: string, name: string, column: Column): void {
    const columns = this.#added.get(table) ?? new Map<string, Column>();
    this.#added.set(table, columns.set(name, column));
  }

  /** Whether this migration has added it. */
  isNew(table: string, name: string): boolean {
    return this.#added.get(table)?.has(name) ?? false;
  }

  /** @param to undefined where it may have kept its name */
  rename(table: string, name: string, to: string | undefined): void {
    const columns = this.#added.get(table);
    const column = columns?.get(name);
    if (!columns || !column) return;
    columns.delete(name);
    if (to !== undefined) columns.set(to, column);
  }

  /** @param to undefined where it may have kept its name, so that nobody knows whose the new columns are */
  renameTable(table: string, to: string | undefined): void {
    const [added, dropped] = [this.#added.get(table), this.#dropped.get(table)];
    this.dropTable(table);
    if (to === undefined) return;
    if (added) this.#added.set(to, added);
    if (dropped) this.#dropped.set(to, dropped);
  }

  dropTable(table: string): void {
    this.#added.delete(table);
    this.#dropped.delete(table);
  }

  /** One that this migration has added is only gone again. */
  drop(table: string, dropped: Dropped): void {
    if (this.#added.get(table)?.delete(dropped.name) === true) return;
    const others = this.#dropped.get(table);
    if (others) others.push(dropped);
    else this.#dropped.set(table, [dropped]);
  }

  /** Pairs of a column that went and one of the same type that came to the same table. */
  possibleRenames(): { table: string; name: string; line: number; other: string }[] {
    return [...this.#dropped].flatMap(([table, dropped]) =>
      dropped.flatMap(({ name, column, line }) =>
        [...(this.#added.get(table) ?? [])]
          .filter(([other, { type }]) => other !== name && isSameType(column?.type, type))
          .map(([other]) => ({ table, name, line, other })),
      ),
    );
  }
}

const isSameType = (one: Column['type'] | undefined, other: Column['type']) =>
  one !== undefined && JSON.stringify(one) === JSON.stringify(other);
