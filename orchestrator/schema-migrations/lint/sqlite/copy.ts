import { slice } from './condition.ts';
import type { Sandbox } from './sandbox.ts';
import { affinityOf, type SqliteColumn } from './schema.ts';
import type { SqliteStatement } from './statements.ts';
import { fold, indexOfOwn, nameAt, queryOfTable, splitBy, type Token } from './tokens.ts';

/** A query that takes every row of one table. All names are folded. */
export interface Copy {
  readonly from: string;
  /** The table's columns -> those of the new one that get their values as they are. */
  readonly columns: ReadonlyMap<string, string>;
  /** Columns of the new one whose values are made by an expression. */
  readonly made: ReadonlySet<string>;
}

/**
 * Reads an INSERT ... SELECT or CREATE TABLE ... AS as a copy of all rows.
 *
 * @param written the columns of the table that is written, in their order
 * @returns undefined for everything that may leave rows out or is about more than one table: WHERE, LIMIT, DISTINCT, joins,
 * aggregates, OR IGNORE, OR REPLACE
 */
export function readCopy(
  sandbox: Sandbox,
  { text, tokens }: SqliteStatement,
  written: readonly SqliteColumn[],
): Copy | undefined {
  const at = queryOfTable(tokens) ?? queryOfInsert(tokens);
  const select = at === undefined ? [] : tokens.slice(at);
  if (select[0]?.word !== 'SELECT' || select[1]?.word === 'DISTINCT') return undefined;
  const from = select.findLastIndex(({ word, depth }) => word === 'FROM' && depth === 0);
  const table = from === -1 ? undefined : onlyTable(select.slice(from + 1));
  if (table === undefined || indexOfOwn(select, 'UNION', 'EXCEPT', 'INTERSECT') !== -1) return undefined;
  const results = sandbox.resultOf(slice(text, select));
  // A temporary table hides one of the same name.
  if (!results || results.some(({ database }) => database === 'temp')) return undefined;

  const named = namedColumns(tokens);
  const targets = (named.length > 0 ? named : written.map(({ name }) => name)).map(fold);
  const typeOf = new Map(written.map(({ name, type }) => [fold(name), type]));
  const items = splitBy(select.slice(1, from), ({ text: one }) => one === ',');
  const isAligned = items.length === results.length;
  const hasQuery = (some: readonly Token[]) => some.some(({ word }) => word === 'SELECT');
  const columns = new Map<string, string>();
  const made = new Set<string>();
  for (const [index, result] of results.entries()) {
    const [target, item] = [targets[index], isAligned ? (items[index] ?? []) : items.flat()];
    if (target === undefined) continue;
    const isPlain = result.table !== null && fold(result.table) === table && !hasQuery(item);
    const source = isPlain ? result.column : isAligned ? keptColumn(item, typeOf.get(target)) : undefined;
    if (source === null || source === undefined) made.add(target);
    // Of one that is copied twice, the one of its own name counts.
    else if (!columns.has(fold(source)) || fold(source) === target) columns.set(fold(source), target);
  }
  return { from: table, columns, made };
}

/** Where the query of an INSERT begins that leaves out no row and overwrites none. */
function queryOfInsert(tokens: readonly Token[]): number | undefined {
  if (tokens[0]?.word !== 'INSERT' || tokens[2]?.word === 'IGNORE' || tokens[2]?.word === 'REPLACE')
    return undefined;
  const at = indexOfOwn(tokens, 'SELECT');
  return at === -1 || indexOfOwn(tokens.slice(0, at), 'WITH') !== -1 ? undefined : at;
}

/** `INSERT INTO t (a, b)`: a and b. */
function namedColumns(tokens: readonly Token[]): string[] {
  const into = indexOfOwn(tokens, 'INTO');
  if (into === -1) return [];
  let { next } = nameAt(tokens, into + 1);
  if (tokens[next]?.word === 'AS') next += 2;
  if (tokens[next]?.text !== '(') return [];
  const end = tokens.findIndex(({ text }, index) => index > next && text === ')');
  return tokens
    .slice(next + 1, end)
    .filter((_, index) => index % 2 === 0)
    .map(({ text }) => text);
}

/** What stands after FROM, where that is one table, perhaps under another name, perhaps in an order. */
function onlyTable(tokens: readonly Token[]): string | undefined {
  const { name, next } = nameAt(tokens, 0);
  const order = indexOfOwn(tokens, 'ORDER');
  const alias = tokens.slice(next, order === -1 ? undefined : order);
  if (order !== -1 && indexOfOwn(tokens.slice(order), 'LIMIT', 'RETURNING') !== -1) return undefined;
  const isOne = alias.length === 0 || alias.length === 1 || (alias.length === 2 && alias[0]?.word === 'AS');
  return isOne && tokens[0]?.text !== '(' ? fold(name) : undefined;
}

/**
 * The column of an expression that keeps its values: `coalesce(a, 0)` and `CAST(a AS TEXT)`, by which Prisma fills and
 * changes. A CAST keeps them in a column of its own kind: `CAST(price AS INTEGER)` in one of texts makes '12.50' '12'.
 */
function keptColumn(item: readonly Token[], type: string | undefined): string | undefined {
  const [call, open] = item;
  if (!['COALESCE', 'IFNULL', 'CAST'].includes(call?.word ?? '') || open?.text !== '(') return undefined;
  const { name, next } = nameAt(item, 2);
  const isFirst = item[next]?.text === ',' || item[next]?.word === 'AS';
  const close = item.findIndex(({ text, depth }, index) => index > 1 && text === ')' && depth === 0);
  const alias = item.slice(close + 1);
  const cast = call?.word === 'CAST' ? item.slice(next + 1, close).map(({ text }) => text) : undefined;
  if (cast && (type === undefined || affinityOf(cast.join(' ')) !== affinityOf(type))) return undefined;
  const isAll = alias.length === 0 || alias.length === 1 || (alias.length === 2 && alias[0]?.word === 'AS');
  return isFirst && close !== -1 && isAll ? name : undefined;
}
