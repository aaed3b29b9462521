import type { Severity, TableSize, TableSizes } from '../finding.ts';

/** A lock on a smaller table is never noticed, and one on a bigger table by everybody. */
const [smallTableRows, bigTableRows] = [10_000, 1_000_000];

/** Tables that the sizes leave out: records of what was run. */
const uncounted = /^(?:holdfast|pg_\w+|information_schema)\.|_prisma_migrations$/;

/** How big the tables of a database are, by the names that they have by now in a file. */
export class KnownSizes {
  readonly #sizes: TableSizes | undefined;
  /** Of tables that were renamed or made: what the database knows them by, undefined for none. */
  readonly #knownAs = new Map<string, string | undefined>();

  constructor(sizes: TableSizes | undefined) {
    this.#sizes = sizes;
  }

  of(table: string): TableSize | undefined {
    const known = this.#knownAs.has(table) ? this.#knownAs.get(table) : table;
    return known === undefined ? undefined : this.#sizes?.get(known);
  }

  /** The name is that of another table than before, or of none. */
  forget(table: string): void {
    this.#knownAs.set(table, undefined);
  }

  rename(table: string, to: string): void {
    this.alias(table, to);
    this.forget(table);
  }

  /** Another name that the table may have. */
  alias(table: string, to: string): void {
    this.#knownAs.set(to, this.#knownAs.has(table) ? this.#knownAs.get(table) : table);
  }

  /**
   * Whether the database is known and surely has no table of that name, which is asked for in every schema, since a
   * connection may look for its tables in another one than public.
   */
  lacks(table: string): boolean {
    if (this.#sizes === undefined || uncounted.test(table) || this.of(table)) return false;
    return ![...this.#sizes.keys()].some((other) => other === table || other.endsWith(`.${table}`));
  }

  /** How bad work is that takes the longer the bigger the table; undefined where it is no matter. */
  severityOfWork(table: string, unknown: Severity): Severity | undefined {
    const rows = this.of(table)?.rows;
    if (rows === undefined) return unknown;
    return rows < smallTableRows ? undefined : rows < bigTableRows ? 'warning' : 'error';
  }

  describe(table: string): string {
    const size = this.of(table);
    return size === undefined ? '' : ` (${size.rows.toLocaleString('en-US')} rows)`;
  }
}
