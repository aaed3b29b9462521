import { hasCondition } from './condition.ts';
import type { Review } from './review.ts';
import type { SqliteStatement } from './statements.ts';
import { fold, indexOfOwn, nameAt } from './tokens.ts';

/**
 * A statement about a table that no file made, but that the database has: made by hand, by `db push`, or before there were
 * files. Its columns are not known; its rows are counted.
 */
export function reviewUnknownTable(review: Review, statement: SqliteStatement): void {
  const { tokens, line } = statement;
  const after = (word: string) => nameAt(tokens, indexOfOwn(tokens, word) + 1);
  const isKnown = (name: string) =>
    review.before.has(fold(name)) || review.touched.has(fold(name)) || !review.sizes.has(fold(name));
  const isWhole = () => !hasCondition(review.sandbox, statement);
  const verb = tokens[indexOfOwn(tokens, 'DELETE', 'UPDATE', 'DROP', 'ALTER')];
  if (verb?.word === 'DROP' && tokens[1]?.word === 'TABLE') {
    const { name } = after(tokens[2]?.word === 'IF' ? 'EXISTS' : 'TABLE');
    if (!isKnown(name)) review.reportLoss('drop-table', line, name, `drops the table ${name}`);
  } else if (verb?.word === 'ALTER') {
    const { name, next } = after('TABLE');
    if (!isKnown(name) && tokens[next]?.word === 'DROP')
      review.reportLoss('drop-column', line, name, `drops the column ${name}.${tokens.at(-1)?.text ?? ''}`);
  } else if (verb?.word === 'DELETE' && isWhole()) {
    const { name } = after('FROM');
    if (!isKnown(name)) review.reportLoss('delete-without-where', line, name, `deletes every row of ${name}`);
  } else if (verb?.word === 'UPDATE' && isWhole()) {
    const at = tokens.indexOf(verb) + 1;
    const { name } = nameAt(tokens, tokens[at]?.word === 'OR' ? at + 2 : at);
    if (!isKnown(name)) review.reportLoss('update-without-where', line, name, `writes every row of ${name}`);
  }
}
