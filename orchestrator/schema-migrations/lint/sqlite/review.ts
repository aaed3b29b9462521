import type { Remark, TableSizes } from '../finding.ts';
import type { RuleName } from '../rules.ts';
import { KeptRows } from './kept-rows.ts';
import type { Sandbox } from './sandbox.ts';
import type { SqliteSchema } from './schema.ts';
import type { SqliteStatement } from './statements.ts';
import { fold } from './tokens.ts';

/** What is found in one file, and what has to be known for it. */
export class Review {
  readonly remarks: Remark[] = [];
  readonly sandbox: Sandbox;
  readonly before: SqliteSchema;
  /** By folded names. */
  readonly sizes: TableSizes;
  readonly statements: readonly SqliteStatement[];
  /** Where the rows are that were there before. */
  readonly rows: KeptRows;
  /** Folded names of tables, and of `table.column` where one got its name, with the last line that changed it. */
  readonly lines = new Map<string, number>();
  /** Folded names of the tables whose schema may be another one now. */
  readonly touched = new Set<string>();
  /** Folded names of tables from before -> the line that dropped their rows. */
  readonly droppedAt = new Map<string, number>();
  /** What dropping a table does to those that refer to it: told at the end, of those that are still there. */
  readonly cascades: { readonly of: string; readonly tell: () => void }[] = [];
  /** Folded names of new tables that leave out or overwrite rows without a word: UNIQUE ON CONFLICT IGNORE. */
  readonly lossy = new Set<string>();
  /** SQLite's first complaint is told; the next may come of it. */
  isBroken = false;

  constructor(
    sandbox: Sandbox,
    before: SqliteSchema,
    sizes: TableSizes,
    statements: readonly SqliteStatement[],
  ) {
    this.sandbox = sandbox;
    this.before = before;
    this.sizes = sizes;
    this.statements = statements;
    this.rows = new KeptRows(before);
  }

  report(rule: RuleName, line: number, message: string, more: Partial<Remark> = {}): void {
    this.remarks.push({ rule, line, message, ...more });
  }

  /** What takes away rows that were there: of an empty table, none. */
  reportLoss(rule: RuleName, line: number, table: string, message: string): void {
    const isEmpty = this.sizes.get(fold(table))?.rows === 0;
    this.report(rule, line, message, {
      table,
      destructive: !isEmpty,
      ...(isEmpty ? { severity: 'info' } : {}),
    });
  }

  /** What fails of the rows that are there: of an empty table, never. */
  reportRisk(rule: RuleName, line: number, table: string, message: string): void {
    if (this.sizes.get(fold(table))?.rows !== 0) this.report(rule, line, message, { table });
  }

  /** Once a file: why SQLite refuses it. */
  reportRefusal(line: number, message: string): void {
    if (!this.isBroken) this.report('syntax-error', line, message);
    this.isBroken = true;
  }

  touch(table: string, line: number): void {
    this.touched.add(fold(table));
    this.lines.set(fold(table), line);
  }

  /** The name that a table had before, as it was written then. */
  nameOf(table: string): string {
    return this.before.get(table)?.name ?? table;
  }
}
