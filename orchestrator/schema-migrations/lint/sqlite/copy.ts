import { slice } from './condition.ts';
import type { Deed, Sandbox } from './sandbox.ts';
import { affinityOf } from './schema.ts';
import type { SqliteStatement } from './statements.ts';
import { fold, indexOfOwn, nameAt, queryOfTable, splitBy, tableKey, type Token } from './tokens.ts';

/** A query that takes every row of one table. All names are folded. */
export interface Copy {
  /** As `tableKey` makes it. */
  readonly from: string;
  /** The table's columns -> those of the new one that get their values as they are. */
  readonly columns: ReadonlyMap<string, string>;
  /** Columns of the new one whose values are made by an expression. */
  readonly made: ReadonlySet<string>;
}

type Table = Pick<Deed, 'table' | 'isTemporary'>;

/**
 * Reads an INSERT ... SELECT or CREATE TABLE ... AS as a copy of all rows.
 *
 * @param written the table that is written
 * @returns undefined for everything that may leave rows out or is about more than one table: WHERE, LIMIT, DISTINCT, joins,
 * aggregates, OR IGNORE, OR REPLACE
 */
export function readCopy(
  sandbox: Sandbox,
  { text, tokens }: SqliteStatement,
  written: Table,
): Copy | undefined {
  const at = queryOfTable(tokens) ?? queryOfInsert(tokens);
  const select = at === undefined ? [] : tokens.slice(at);
  if (select[0]?.word !== 'SELECT' || select[1]?.word === 'DISTINCT') return undefined;
  const fromAt = select.findLastIndex(({ word, depth }) => word === 'FROM' && depth === 0);
  const from = fromAt === -1 ? undefined : onlyTable(sandbox, select.slice(fromAt + 1));
  if (from === undefined || indexOfOwn(select, 'UNION', 'EXCEPT', 'INTERSECT') !== -1) return undefined;
  const results = sandbox.resultOf(slice(text, select));
  if (!results) return undefined;

  const named = namedColumns(tokens);
  const there = sandbox.columnsOf(written);
  const targets = (named.length > 0 ? named : there.map(({ name }) => name)).map(fold);
  const typeOf = new Map(there.map(({ name, type }) => [fold(name), type]));
  const sources = new Map(sandbox.columnsOf(from).map(({ name, type }) => [fold(name), type]));
  // Of what ends in another kind of column it is told at the end; of a temporary one nobody knows by then.
  const isChanged = (source: string, type: string | undefined) =>
    written.isTemporary && isConverted(sources.get(fold(source)) ?? '', type ?? '');
  const items = splitBy(select.slice(1, fromAt), ({ text: one }) => one === ',');
  const isAligned = items.length === results.length;
  const hasQuery = (some: readonly Token[]) => some.some(({ word }) => word === 'SELECT');
  const columns = new Map<string, string>();
  const made = new Set<string>();
  for (const [index, result] of results.entries()) {
    const [target, item] = [targets[index], isAligned ? (items[index] ?? []) : items.flat()];
    if (target === undefined) continue;
    const isPlain =
      result.table !== null &&
      fold(result.table) === from.table &&
      (result.database === 'temp') === from.isTemporary &&
      !hasQuery(item);
    const type = typeOf.get(target);
    const source = isPlain ? result.column : isAligned ? keptColumn(item, type) : undefined;
    if (source === null || source === undefined || isChanged(source, type)) made.add(target);
    // Of one that is copied twice, the one of its own name counts.
    else if (!columns.has(fold(source)) || fold(source) === target) columns.set(fold(source), target);
  }
  return { from: tableKey(from.table, from.isTemporary), columns, made };
}

/** Whether values of one type may become others in a column of another: '012' is 12 in one of integers. */
const isConverted = (from: string, to: string) =>
  affinityOf(to) !== 'BLOB' && affinityOf(from) !== affinityOf(to);

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
function onlyTable(sandbox: Sandbox, tokens: readonly Token[]): Table | undefined {
  const { name, next } = nameAt(tokens, 0);
  const order = indexOfOwn(tokens, 'ORDER');
  const alias = tokens.slice(next, order === -1 ? undefined : order);
  if (order !== -1 && indexOfOwn(tokens.slice(order), 'LIMIT', 'RETURNING') !== -1) return undefined;
  const isOne = alias.length === 0 || alias.length === 1 || (alias.length === 2 && alias[0]?.word === 'AS');
  if (!isOne || tokens[0]?.text === '(') return undefined;
  const schema = next > 1 ? fold(tokens[0]?.text ?? '') : undefined;
  return {
    table: fold(name),
    isTemporary: schema === undefined ? sandbox.isTemporary(name) : schema === 'temp',
  };
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
