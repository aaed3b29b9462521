import type { RangeVar } from 'libpg-query';
import { tableKey } from '../finding.ts';

/** What names without a schema stand for in a file: a temporary table hides others, and `search_path` may be set. */
export class RelationNames {
  readonly #temporary = new Set<string>();
  readonly #isThere: (table: string) => boolean;
  #path: readonly string[] = [];

  constructor(isThere: (table: string) => boolean) {
    this.#isThere = isThere;
  }

  /** A relation's name for the lint. A temporary table hides the one of the same name, unless that is asked for by its schema. */
  keyOf(schema: string | undefined, name: string): string {
    if (schema !== undefined) return tableKey(schema, name);
    const table = tableKey(undefined, name);
    if (this.#temporary.has(table)) return `pg_temp.${table}`;
    const candidates = this.#path.map((one) => tableKey(one, name));
    return candidates.find(this.#isThere) ?? candidates[0] ?? table;
  }

  /** The name of one that is about to be made: it goes where the path begins. */
  keyOfNew({ schemaname, relname = '' }: RangeVar, isTemporary: boolean): string {
    if (isTemporary) {
      this.#temporary.add(tableKey(undefined, relname));
      return this.keyOf(undefined, relname);
    }
    return tableKey(schemaname ?? this.#path[0], relname);
  }

  /** No temporary table hides others of that name any longer. */
  reveal(table: string): void {
    this.#temporary.delete(table.replace(/^pg_temp\./, ''));
  }

  /** `search_path` from here on; none, as a dump has it that gives every name its schema, is as if it were not said. */
  setPath(schemas: readonly string[]): void {
    this.#path = schemas.map((one) => one.trim()).filter((one) => !/^$|^"?\$user"?$|^pg_/.test(one));
  }
}
