import { parseDirectives } from '../directives.ts';
import type { TableSizes } from '../finding.ts';
import type { Reviewer } from '../postgres/lint.ts';
import { compareSchemas } from './compare.ts';
import { Review } from './review.ts';
import { Sandbox } from './sandbox.ts';
import type { SqliteSchema } from './schema.ts';
import { reviewStatement } from './statement-review.ts';
import { splitSqlite, type SqliteStatement } from './statements.ts';
import { fold } from './tokens.ts';

/**
 * A reviewer for SQLite. Each migration is tried on an empty database in memory, so that SQLite itself says what it means:
 * a table that Prisma rebuilds (new one, copy, drop, rename) is what is there before and after, and its rows are kept where
 * all of them were copied.
 *
 * @param sizes of the tables of a database, where one is there
 */
export async function sqliteReviewer(sizes: TableSizes = new Map()): Promise<Reviewer> {
  const sandbox = await Sandbox.open();
  const foldedSizes = new Map([...sizes].map(([table, size]) => [fold(table), size]));
  let schema: SqliteSchema = new Map();
  return (sql) => {
    const { statements, comments } = splitSqlite(sql);
    const review = new Review(sandbox, schema, foldedSizes, statements);
    sandbox.setForeignKeys(!runsWithoutForeignKeys(statements));
    for (const statement of statements) reviewStatement(review, statement);
    if (statements.length === 0) review.report('empty-file', 1, 'there is no statement in it');
    schema = sandbox.schema(schema, review.touched);
    compareSchemas(review, schema);
    return { remarks: review.remarks, directives: parseDirectives(comments) };
  };
}

/** As scripts are run: a PRAGMA within a transaction does nothing, but one in the file counts for all of it. */
function runsWithoutForeignKeys(statements: readonly SqliteStatement[]): boolean {
  const begin = statements.findIndex(({ tokens }) => tokens[0]?.word === 'BEGIN');
  return (
    statements.length > 1 &&
    statements
      .slice(0, begin === -1 ? undefined : begin)
      .some(({ text }) =>
        /^PRAGMA\s+(?:\w+\s*\.\s*)?foreign_keys\s*(?:=|\()\s*["'`[]?(?:OFF|0|NO|FALSE)\b/i.test(text),
      )
  );
}
