import type { Sandbox } from './sandbox.ts';
import type { SqliteStatement } from './statements.ts';
import { indexOfOwn, splitBy, type Token } from './tokens.ts';

const after = ['RETURNING', 'ORDER', 'LIMIT', 'GROUP', 'ON', 'WINDOW'];

/**
 * Whether a statement means rows of its own choice: it has a WHERE of its own, not only one in a query inside, and that asks
 * for something in a row. `WHERE true` and `WHERE EXISTS (SELECT 1 FROM other)` mean every row; `WHERE false` none.
 */
export function hasCondition(sandbox: Sandbox, { text, tokens }: SqliteStatement): boolean {
  const where = indexOfOwn(tokens, 'WHERE');
  if (where === -1) return false;
  const rest = tokens.slice(where + 1);
  const end = indexOfOwn(rest, ...after);
  const condition = end === -1 ? rest : rest.slice(0, end);
  const before = commonTables(text, tokens);
  return splitBy(condition, ({ word }) => word === 'OR').every((part) => {
    const asksTables = part.some(({ word }) => word === 'SELECT');
    // Without the table, what names its columns is refused.
    const answer = sandbox.answer(`${before} SELECT 1 WHERE (${slice(text, part)}\n)`, !asksTables);
    return answer === 'refused' || (answer === 'none' && !asksTables);
  });
}

/** WITH and what it names, which the condition may ask. */
function commonTables(text: string, tokens: readonly Token[]): string {
  if (tokens[0]?.word !== 'WITH') return '';
  const verb = indexOfOwn(tokens, 'DELETE', 'UPDATE', 'INSERT', 'REPLACE', 'SELECT');
  return verb === -1 ? '' : slice(text, tokens.slice(0, verb));
}

/** The text from the first to the last of these. */
export function slice(text: string, tokens: readonly Token[]): string {
  return text.slice(tokens[0]?.start ?? 0, tokens.at(-1)?.end ?? 0);
}
