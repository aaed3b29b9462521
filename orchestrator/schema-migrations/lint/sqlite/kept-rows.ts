import type { Copy } from './copy.ts';
import type { SqliteSchema } from './schema.ts';
import { fold, isTemporaryKey } from './tokens.ts';

/** A table that holds rows which were there before the file. All names are folded. */
export interface Holder {
  /** The table they were in. */
  readonly of: string;
  /** The columns they had -> the columns their values are in now. */
  readonly columns: ReadonlyMap<string, string>;
  /** Columns they had whose values were made anew by an expression. */
  readonly made: ReadonlySet<string>;
}

/**
 * Follows rows through a file: where those of each table are after renames, copies and drops. Tables go by their keys, as
 * `tableKey` makes them: a temporary one holds rows for a while, and is never where they are in the end.
 */
export class KeptRows {
  readonly #before: SqliteSchema;
  /** Tables that hold what they did not hold before, and those that hold nothing of it any more. */
  readonly #changed = new Map<string, Holder | undefined>();

  constructor(before: SqliteSchema) {
    this.#before = before;
  }

  /** A table with rows from before that no file made. */
  add(table: string, columns: readonly string[]): void {
    this.#changed.set(fold(table), unchanged(table, columns));
  }

  /** What a table holds by now; none where it is new. */
  in(table: string): Holder | undefined {
    const name = fold(table);
    const was = this.#before.get(name);
    if (this.#changed.has(name) || !was) return this.#changed.get(name);
    return unchanged(
      name,
      was.columns.map((column) => column.name),
    );
  }

  /** Where the rows of a table from before are by now: under their own name if there. */
  whereIs(table: string): { readonly name: string; readonly holder: Holder } | undefined {
    const own = this.in(table);
    if (own?.of === table) return { name: table, holder: own };
    for (const [name, holder] of this.#changed)
      if (holder?.of === table && !isTemporaryKey(name)) return { name, holder };
    return undefined;
  }

  drop(table: string): void {
    this.#changed.set(fold(table), undefined);
  }

  rename(table: string, to: string): void {
    const holder = this.in(table);
    this.drop(table);
    if (holder) this.#changed.set(fold(to), holder);
  }

  renameColumn(table: string, column: string, to: string): void {
    this.#changeColumns(table, (now) => (now === fold(column) ? fold(to) : now));
  }

  dropColumn(table: string, column: string): void {
    this.#changeColumns(table, (now) => (now === fold(column) ? undefined : now));
  }

  /** What its columns held is made anew in all that it holds. */
  makeAnew(table: string, columns: ReadonlySet<string>): void {
    const holder = this.in(table);
    if (!holder) return;
    const made = [...holder.columns].flatMap(([had, now]) => (columns.has(now) ? [had] : []));
    this.#changed.set(fold(table), { ...holder, made: new Set([...holder.made, ...made]) });
  }

  /** Only a new table takes over what it is given: in one with rows of its own, the copied ones are not told apart any more. */
  copy({ from, columns, made }: Copy, to: string): void {
    const source = this.in(from);
    if (!source || this.in(to)) return;
    const isMade = (now: string) => !columns.has(now) && made.has(now);
    this.#changed.set(fold(to), {
      of: source.of,
      columns: changed(source, (now) => columns.get(now) ?? (isMade(now) ? now : undefined)),
      made: new Set(
        [...source.columns].flatMap(([had, now]) => (source.made.has(had) || isMade(now) ? [had] : [])),
      ),
    });
  }

  #changeColumns(table: string, change: (now: string) => string | undefined): void {
    const holder = this.in(table);
    if (holder) this.#changed.set(fold(table), { ...holder, columns: changed(holder, change) });
  }
}

function unchanged(table: string, columns: readonly string[]): Holder {
  const names = columns.map((name) => [fold(name), fold(name)] as const);
  return { of: fold(table), columns: new Map(names), made: new Set() };
}

function changed(
  { columns }: Holder,
  change: (now: string) => string | undefined,
): ReadonlyMap<string, string> {
  return new Map(
    [...columns].flatMap(([had, now]) => {
      const name = change(now);
      return name === undefined ? [] : [[had, name] as const];
    }),
  );
}
