import type { DatabaseSync } from 'node:sqlite';
import { messageOf } from '../../../lib/errors.ts';
import { parseDirectives } from '../directives.ts';
import type { Remark, TableSizes } from '../finding.ts';
import { loadGrammar } from '../postgres/parse.ts';
import type { Reviewer } from '../postgres/lint.ts';
import type { RuleName } from '../rules.ts';
import { readSchema, type SqliteColumn, type SqliteSchema } from './schema.ts';
import { splitSqlite, type SqliteStatement } from './statements.ts';

/**
 * A reviewer for SQLite. Each migration is run on an empty database in memory, so that SQLite itself says what it means:
 * a table that Prisma rebuilds (new one, copy, drop, rename) is what is there before and after, and nothing else.
 *
 * @param sizes of the tables of a database, where one is there
 */
export async function sqliteReviewer(sizes?: TableSizes): Promise<Reviewer> {
  await loadGrammar();
  const { DatabaseSync: Database } = await loadSqlite();
  const database = new Database(':memory:');
  let schema: SqliteSchema = new Map();
  return (sql) => {
    const { statements, comments } = splitSqlite(sql);
    const review = new SqliteReview(sizes, schema, statements);
    for (const statement of statements) {
      review.look(statement);
      try {
        runOn(database, statement);
      } catch (error) {
        review.report('syntax-error', statement.line, messageOf(error));
        break;
      }
    }
    if (statements.length === 0) review.report('empty-file', 1, 'there is no statement in it');
    schema = readSchema(database, schema);
    review.compare(schema);
    return { remarks: review.remarks, directives: parseDirectives(comments) };
  };
}

/** It is announced as experimental on standard error, which is none of the operator's business. */
async function loadSqlite(): Promise<typeof import('node:sqlite')> {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return await import('node:sqlite');
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** Rows are not there to be looked for, and settings of the session are left as they are. */
function runOn(database: DatabaseSync, { text, words }: SqliteStatement): void {
  if (words[0] === 'PRAGMA' || words[0] === 'BEGIN' || words[0] === 'COMMIT' || words[0] === 'END') return;
  database.exec(text);
}

class SqliteReview {
  readonly remarks: Remark[] = [];
  readonly #sizes: TableSizes | undefined;
  readonly #before: SqliteSchema;
  readonly #statements: readonly SqliteStatement[];
  /** Old name -> new name. */
  readonly #renamed = new Map<string, string>();

  constructor(sizes: TableSizes | undefined, before: SqliteSchema, statements: readonly SqliteStatement[]) {
    this.#sizes = sizes;
    this.#before = before;
    this.#statements = statements;
  }

  report(rule: RuleName, line: number, message: string, more: Partial<Remark> = {}): void {
    this.remarks.push({ rule, line, message, ...more });
  }

  /** What a statement says by itself. */
  look({ words, line }: SqliteStatement): void {
    const [first, second, third = ''] = words;
    if (first === 'ALTER' && second === 'TABLE' && words[3] === 'RENAME')
      this.#lookAtRename(words, third, line);
    const hasWhere = words.includes('WHERE');
    if (first === 'DELETE' && !hasWhere)
      this.#reportLoss('delete-without-where', line, third, `deletes every row of ${third}`);
    if (first === 'UPDATE' && !hasWhere && !words.includes('FROM')) {
      const table = words[1] === 'OR' ? (words[3] ?? '') : (second ?? '');
      this.#reportLoss('update-without-where', line, table, `writes every row of ${table}`);
    }
    if (first === 'BEGIN' || first === 'COMMIT' || first === 'END' || first === 'ROLLBACK')
      this.report('explicit-transaction', line, `says ${first} by itself`);
  }

  #lookAtRename(words: readonly string[], table: string, line: number): void {
    if (words[4] === 'TO') {
      const to = words[5] ?? '';
      // The end of a rebuild: the new one takes the name of the old one.
      if (this.#before.has(table)) {
        this.#renamed.set(table, to);
        this.report('rename-table', line, `renames the table ${table} to ${to}`, { table });
      }
      return;
    }
    const [from = '', to = ''] = words.slice(words[4] === 'COLUMN' ? 5 : 4).filter((word) => word !== 'TO');
    this.#renamed.set(`${table}.${from}`, to);
    if (this.#before.has(table))
      this.report('rename-column', line, `renames ${table}.${from} to ${to}`, { table });
  }

  /** What is not any more as it was. */
  compare(after: SqliteSchema): void {
    for (const [table, { columns, unique, madeBy }] of this.#before) {
      const name = this.#renamed.get(table) ?? table;
      const now = after.get(name);
      if (now?.madeBy === madeBy) continue;
      if (!now) {
        this.#reportLoss('drop-table', this.#lineOf('DROP', table), table, `drops the table ${table}`);
        continue;
      }
      const line = this.#lineOf(undefined, table);
      for (const column of columns) {
        const is = now.columns.find(
          (one) => one.name === (this.#renamed.get(`${table}.${column.name}`) ?? column.name),
        );
        const what = `${table}.${column.name}`;
        if (!is) this.#reportLoss('drop-column', line, table, `drops the column ${what}`);
        else if (is.type !== column.type)
          this.#reportLoss('change-type', line, table, `changes ${what} from ${column.type} to ${is.type}`);
        else if (is.isNotNull && !column.isNotNull)
          this.#reportRisk('set-not-null', line, table, `makes ${what} NOT NULL`);
        else if (!is.isNotNull && column.isNotNull)
          this.report('drop-not-null', line, `lets ${what} be null`, { table });
      }
      this.#compareAdded(table, line, columns, now.columns);
      for (const one of now.unique)
        if (!unique.includes(one))
          this.#reportRisk('add-unique', line, table, `makes ${table}(${one}) unique`);
    }
  }

  #compareAdded(
    table: string,
    line: number,
    before: SqliteSchema extends ReadonlyMap<string, infer T extends { columns: unknown }>
      ? T['columns']
      : never,
    after: typeof before,
  ): void {
    const renamed = new Set(
      [...this.#renamed].filter(([from]) => from.startsWith(`${table}.`)).map(([, to]) => to),
    );
    const isIn = (some: readonly SqliteColumn[], name: string) => some.some((one) => one.name === name);
    const added = after.filter(({ name }) => !isIn(before, name) && !renamed.has(name));
    const dropped = before.filter(({ name }) => !isIn(after, name) && !this.#renamed.has(`${table}.${name}`));
    for (const one of added) {
      if (one.isNotNull && !one.hasDefault)
        this.#reportRisk(
          'not-null-without-default',
          line,
          table,
          `adds ${table}.${one.name}, NOT NULL without a default`,
        );
      const [other] = dropped.filter(({ type }) => type === one.type);
      if (other)
        this.#reportLoss(
          'possible-rename',
          line,
          table,
          `drops ${table}.${other.name} and adds ${table}.${one.name} of the same type`,
        );
    }
  }

  /** The last statement that names the table, and begins with this word. */
  #lineOf(word: string | undefined, table: string): number {
    const wanted = table.toUpperCase();
    const found = this.#statements.findLast(
      ({ words }) =>
        (word === undefined || words[0] === word) &&
        words.some((one) => one === table || one === wanted || one === `new_${table}`),
    );
    return found?.line ?? 1;
  }

  #reportLoss(rule: RuleName, line: number, table: string, message: string): void {
    if (!this.#before.has(table)) return;
    const isEmpty = this.#sizes?.get(table)?.rows === 0;
    this.report(rule, line, message, {
      table,
      destructive: !isEmpty,
      ...(isEmpty ? { severity: 'info' } : {}),
    });
  }

  #reportRisk(rule: RuleName, line: number, table: string, message: string): void {
    if (this.#sizes?.get(table)?.rows !== 0) this.report(rule, line, message, { table });
  }
}
