import type { RuleName } from './rules.ts';

export type Severity = 'error' | 'warning' | 'info';

/** Something that a rule found in a migration, and where. */
export interface Finding {
  readonly rule: RuleName;
  readonly severity: Severity;
  /** It takes data away that only a snapshot brings back: an update asks before it. */
  readonly destructive: boolean;
  /** The migration's name: its folder. */
  readonly migration: string;
  /** Its file, relative to the checkout. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly table?: string;
  /** What it is, in one clause, with the names of the things concerned. */
  readonly message: string;
  /** Why the vendor accepts it, where a comment in the file says so. */
  readonly accepted?: string;
}

/** What a rule says before it is known where. */
export interface Remark {
  readonly rule: RuleName;
  /** The rule's own where absent. */
  readonly severity?: Severity;
  readonly destructive?: boolean;
  readonly line: number;
  readonly table?: string;
  readonly message: string;
}

/** Rows and size of the tables of a database that is there, by the name that the lint uses; see `tableKey`. */
export type TableSizes = ReadonlyMap<string, TableSize>;

export interface TableSize {
  /** An estimate: what the planner goes by. */
  readonly rows: number;
  /** With its indexes. */
  readonly bytes: number;
}

/** `table` in the schema public, `schema.table` elsewhere; a name with a dot in it is quoted, to be told from these. */
export function tableKey(schema: string | undefined, table: string): string {
  // SQLite's: there is nothing to tell it from.
  if (schema === 'main') return table;
  return schema === undefined || schema === 'public' ? quoted(table) : `${quoted(schema)}.${quoted(table)}`;
}

const quoted = (name: string) => (name.includes('.') ? `"${name}"` : name);

/** The key of another name in the schema that a key is of. */
export function keyBeside(key: string, name: string): string {
  const schema = /^(?<schema>"[^"]*"|[^."]*)\.(?:"[^"]*"|[^."]*)$/.exec(key)?.groups?.['schema'];
  return schema === undefined ? quoted(name) : `${schema}.${quoted(name)}`;
}
