import { parseDirectives, type Directives } from '../directives.ts';
import type { Remark, TableSizes } from '../finding.ts';
import { loadGrammar, parsePostgres } from './parse.ts';
import { reportUnread } from './procedures.ts';
import { Review } from './review.ts';
import { SchemaModel } from './schema-model.ts';
import { reviewStatement } from './statements.ts';

/** What one migration says and does, in the eyes of one kind of database. */
export interface Reviewed {
  readonly remarks: readonly Remark[];
  readonly directives: Directives;
}

/** Looks through migrations one after the other; each is to be given, in their order, the applied ones too. */
export type Reviewer = (sql: string) => Reviewed;

/**
 * A reviewer for PostgreSQL.
 *
 * @param sizes of the tables of a database, where one is there
 */
export async function postgresReviewer(sizes?: TableSizes): Promise<Reviewer> {
  await loadGrammar();
  const schema = new SchemaModel();
  return (sql) => {
    const { statements, comments, unread, syntaxError } = parsePostgres(sql);
    const directives = parseDirectives(comments);
    const review = new Review(schema, { isAlone: statements.length + unread.length === 1, sizes });
    if (syntaxError) review.report('syntax-error', syntaxError.line, syntaxError.message);
    else if (statements.length + unread.length === 0)
      review.report('empty-file', 1, 'there is no statement in it');
    for (const one of unread) reportUnread(review, one.line, one);
    for (const statement of statements) {
      try {
        reviewStatement(review, statement);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        reportUnread(review, statement.line, { text: statement.text, isTooDeep: true });
      }
    }
    review.finish();
    return { remarks: review.remarks, directives };
  };
}
