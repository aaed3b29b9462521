import {
  parsePlPgSQLSync,
  parseSync,
  type CreateFunctionStmt,
  type DoStmt,
  type FuncCall,
  type Node,
} from 'libpg-query';
import { constantOf, constantParts, meansNone } from './constants.ts';
import { findAll, namesOf, textOf } from './nodes.ts';
import { parsePostgres, type Statement } from './parse.ts';
import type { Review } from './review.ts';

/* What blocks and functions run is looked at as if it stood in the file: a block's where it stands, a function's where a
   statement calls it. */

/** Gets its reviewer of statements from whoever calls it, which is what it serves. */
type Look = (review: Review, statement: Statement) => void;

/** Where a body's statements are, for those who read the findings. */
type LineOf = (inBody: number) => number;

export function reviewDo(review: Review, { args }: DoStmt, line: number, look: Look): void {
  const body = optionOf(args, 'as');
  if (body === undefined) return;
  const language = optionOf(args, 'language') ?? 'plpgsql';
  if (language !== 'plpgsql') reportUnseen(review, line, `runs a block of ${language}`);
  else
    review.perhaps(() =>
      reviewPlPgSql(review, `DO $holdfast$${body}$holdfast$`, (inBody) => line + inBody - 1, look),
    );
}

/** The functions and procedures that a statement calls, as far as migrations have made them. */
export function reviewCalls(review: Review, node: Node, line: number, look: Look): void {
  const calls = findAll(node, ['FuncCall', 'funccall']).map(({ node: call }) => call as FuncCall);
  const nameOf = ({ funcname }: FuncCall) => namesOf(funcname).at(-1) ?? '';
  for (const call of calls) {
    if (nameOf(call) !== 'set_config') continue;
    const [setting, value] = (call.args ?? []).map(constantOf);
    if (setting === 'lock_timeout') review.hasLockTimeout = !meansNone(value ?? '');
    if (setting === 'search_path') review.names.setPath((value ?? '').split(','));
  }
  for (const name of new Set(calls.map(nameOf))) {
    review.call(name, ({ statement, text }) => reviewBody(review, statement, text, () => line, look));
  }
}

function reviewBody(
  review: Review,
  { options, sql_body: sqlBody }: CreateFunctionStmt,
  text: string,
  lineOf: LineOf,
  look: Look,
): void {
  const language = optionOf(options, 'language') ?? 'sql';
  const body = optionOf(options, 'as');
  if (language === 'plpgsql') reviewPlPgSql(review, text, lineOf, look);
  else if (language === 'sql' && body !== undefined) reviewSql(review, body, lineOf, look);
  else if (sqlBody)
    for (const { kind, node } of findAll(sqlBody, ['DeleteStmt', 'UpdateStmt', 'MergeStmt', 'InsertStmt']))
      look(review, { node: { [kind]: node } as Node, line: lineOf(1), text: '', partLines: [lineOf(1)] });
  else reportUnseen(review, lineOf(1), `calls a function of ${language}`);
}

function optionOf(options: readonly Node[] | undefined, name: string): string | undefined {
  for (const one of options ?? []) {
    if (!('DefElem' in one) || one.DefElem.defname !== name) continue;
    const { arg } = one.DefElem;
    return arg && 'List' in arg ? namesOf(arg.List.items)[0] : textOf(arg);
  }
  return undefined;
}

function reviewSql(review: Review, sql: string, lineOf: LineOf, look: Look): void {
  for (const { node, text, line, partLines } of parsePostgres(sql).statements)
    look(review, { node, text, line: lineOf(line), partLines: partLines.map(lineOf) });
}

/** @param text the whole statement: DO, or CREATE FUNCTION */
function reviewPlPgSql(review: Review, text: string, lineOf: LineOf, look: Look): void {
  let tree: unknown;
  try {
    tree = parsePlPgSQLSync(text);
  } catch {
    reportUnseen(review, lineOf(1), 'runs a block that could not be read');
    return;
  }
  for (const { query, isDynamic, line } of queriesOf(tree)) {
    const at: LineOf = (inQuery) => lineOf(line + inQuery - 1);
    if (!isDynamic) {
      reviewSql(review, query, at, look);
      continue;
    }
    const expression = expressionOf(query);
    const said = constantOf(expression);
    if (said !== undefined) reviewSql(review, said, () => lineOf(line), look);
    else reportUnseen(review, lineOf(line), 'runs SQL that is put together while it runs', expression);
  }
}

interface Query {
  readonly query: string;
  /** It is an expression that yields the SQL. */
  readonly isDynamic: boolean;
  /** In the body, from 1. */
  readonly line: number;
}

/** Every piece of SQL in a tree of PL/pgSQL. Expressions are among them, which do not parse as statements. */
function queriesOf(tree: unknown, line = 1, kind = ''): Query[] {
  if (Array.isArray(tree)) return tree.flatMap((one) => queriesOf(one, line, kind));
  if (typeof tree !== 'object' || tree === null) return [];
  const { lineno } = tree as { lineno?: unknown };
  const at = typeof lineno === 'number' ? lineno : line;
  return Object.entries(tree).flatMap(([name, value]) => {
    const query = (value as { PLpgSQL_expr?: { query?: string } } | null)?.PLpgSQL_expr?.query;
    if (query === undefined) return queriesOf(value, at, name);
    const isDynamic = name === 'dynquery' || (name === 'query' && dynamicStatements.has(kind));
    return [{ query, isDynamic, line: at }];
  });
}

const dynamicStatements = new Set(['PLpgSQL_stmt_dynexecute', 'PLpgSQL_stmt_dynfors']);

function expressionOf(text: string): Node | undefined {
  try {
    const [found] = findAll(parseSync(`SELECT ${text}`), ['ResTarget']);
    return (found?.node as { val?: Node } | undefined)?.val;
  } catch {
    return undefined;
  }
}

/** What cannot be looked into: a word in it is enough to ask before it runs. */
function reportUnseen(review: Review, line: number, what: string, expression?: Node): void {
  const words = constantParts(expression).join(' ');
  const destructive = /\b(?:drop|truncate|delete)\b/i.test(words);
  review.report('dynamic-sql', line, `${what}${destructive ? `, with "${words.trim()}" in it` : ''}`, {
    destructive,
  });
}
