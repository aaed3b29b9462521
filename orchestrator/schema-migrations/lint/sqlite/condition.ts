import type { Sandbox } from './sandbox.ts';
import type { SqliteStatement } from './statements.ts';
import { indexOfOwn, splitBy, type Token } from './tokens.ts';

const after = ['RETURNING', 'ORDER', 'LIMIT', 'GROUP', 'ON', 'WINDOW'];

/**
 * Whether a statement means rows of its own choice: it has a WHERE of its own, not only one in a query inside, and that asks
 * for something in a row. `WHERE true`, `WHERE EXISTS (SELECT 1 FROM other)` and `FROM other WHERE other.id > 0` mean every
 * row; `WHERE false` none.
 */
export function hasCondition(sandbox: Sandbox, { text, tokens }: SqliteStatement): boolean {
  const where = indexOfOwn(tokens, 'WHERE');
  if (where === -1) return false;
  const rest = tokens.slice(where + 1);
  const end = indexOfOwn(rest, ...after);
  const verb = tokens[0]?.word === 'WITH' ? indexOfOwn(tokens, ...verbs) : 0;
  // WITH and what it names, which the condition may ask.
  const common = verb > 0 ? slice(text, tokens.slice(0, verb)) : '';
  const others = tokens[verb]?.word === 'UPDATE' ? otherTables(text, tokens.slice(verb, where)) : '';
  const isEvery = (part: readonly Token[]) => {
    const asksTables = part.some(({ word }) => word === 'SELECT');
    const condition = slice(text, part);
    // Without the table, what names its columns is refused.
    const answer = sandbox.answer(`${common} SELECT 1 WHERE (${condition}\n)`, !asksTables);
    if (answer !== 'refused') return answer === 'row' || asksTables;
    if (others === '') return false;
    return sandbox.answer(`${common} SELECT 1 ${others} WHERE (${condition}\n)`, false) !== 'refused';
  };
  return !meansEvery(end === -1 ? rest : rest.slice(0, end), isEvery);
}

const verbs = ['DELETE', 'UPDATE', 'INSERT', 'REPLACE', 'SELECT'];

/** Of an UPDATE: FROM and the tables that it joins to the one that it writes. */
function otherTables(text: string, tokens: readonly Token[]): string {
  const from = tokens.findIndex(
    ({ word, depth }, at) => word === 'FROM' && depth === 0 && tokens[at - 1]?.word !== 'DISTINCT',
  );
  return from === -1 ? '' : slice(text, tokens.slice(from));
}

/** Whether a condition is true whatever stands in a row, as far as OR, AND and parentheses tell. */
function meansEvery(condition: readonly Token[], isEvery: (part: readonly Token[]) => boolean): boolean {
  const inner = withoutParentheses(condition);
  const [any, all] = ['OR', 'AND'].map((between) => splitBy(inner, ({ word }) => word === between));
  if (any && any.length > 1) return any.some((part) => meansEvery(part, isEvery));
  if (isEvery(inner)) return true;
  // What BETWEEN has on its two sides is no condition by itself, and refused.
  return all !== undefined && all.length > 1 && all.every((part) => meansEvery(part, isEvery));
}

function withoutParentheses(condition: readonly Token[]): readonly Token[] {
  const isOuter = ({ text, word, depth }: Token) => word === '' && text === ')' && depth === 0;
  const isWhole = condition[0]?.text === '(' && condition.findIndex(isOuter) === condition.length - 1;
  // An OR in a query is the query's.
  if (!isWhole || ['SELECT', 'WITH', 'VALUES'].includes(condition[1]?.word ?? '')) return condition;
  return withoutParentheses(condition.slice(1, -1).map((token) => ({ ...token, depth: token.depth - 1 })));
}

/** The text from the first to the last of these. */
export function slice(text: string, tokens: readonly Token[]): string {
  return text.slice(tokens[0]?.start ?? 0, tokens.at(-1)?.end ?? 0);
}
