import {
  parsePlPgSQLSync,
  type CreateFunctionStmt,
  type DoStmt,
  type FuncCall,
  type Node,
} from 'libpg-query';
import { constantOf, constantParts, meansNone } from './constants.ts';
import { findAll, namesOf, textOf } from './nodes.ts';
import { parsePostgres, type Statement, type Unread } from './parse.ts';
import { asStatement, constantsOf, expressionOf, queriesOf, textsOf, variablesOf } from './plpgsql.ts';
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
      reviewPlPgSql(
        review,
        { text: `DO $holdfast$${body}$holdfast$`, body },
        (inBody) => line + inBody - 1,
        look,
      ),
    );
}

/** The functions and procedures that a statement, or a part of one, calls, as far as migrations have made them. */
export function reviewCalls(review: Review, tree: unknown, line: number, look: Look): void {
  const calls = findAll(tree, ['FuncCall', 'funccall']).map(({ node: call }) => call as FuncCall);
  const nameOf = ({ funcname }: FuncCall) => namesOf(funcname).at(-1) ?? '';
  for (const call of calls) {
    if (nameOf(call) !== 'set_config') continue;
    const [setting, value] = (call.args ?? []).map((one) => constantOf(one));
    if (setting === 'lock_timeout') review.hasLockTimeout = !meansNone(value ?? '');
    if (setting === 'search_path') review.names.setPath((value ?? '').split(','));
  }
  for (const name of new Set(calls.map(nameOf))) {
    review.call(name, ({ statement, text }) => reviewBody(review, statement, text, () => line, look));
  }
}

function reviewBody(
  review: Review,
  { options, parameters, sql_body: sqlBody }: CreateFunctionStmt,
  text: string,
  lineOf: LineOf,
  look: Look,
): void {
  const language = optionOf(options, 'language') ?? 'sql';
  const body = optionOf(options, 'as');
  const variables = new Set(
    (parameters ?? []).flatMap((one) => ('FunctionParameter' in one && one.FunctionParameter.name) || []),
  );
  if (language === 'plpgsql') reviewPlPgSql(review, { text, body: body ?? '' }, lineOf, look);
  else if (language === 'sql' && body !== undefined) reviewSql(review, body, { lineOf, variables }, look);
  // The grammar lets it only read and write rows.
  else if (sqlBody)
    look(review, { node: sqlBody, line: lineOf(1), text: '', partLines: [lineOf(1)], variables });
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

/** @returns whether all of it could be read */
function reviewSql(
  review: Review,
  sql: string,
  { lineOf, variables }: { lineOf: LineOf; variables: ReadonlySet<string> },
  look: Look,
): boolean {
  const { statements, unread, syntaxError } = parsePostgres(sql);
  for (const one of unread) if (one.isTooDeep) reportUnread(review, lineOf(one.line), one);
  for (const { node, text, line, partLines } of statements)
    look(review, { node, text, line: lineOf(line), partLines: partLines.map(lineOf), variables });
  return syntaxError === undefined;
}

/** @param code its text is the whole statement: DO, or CREATE FUNCTION */
function reviewPlPgSql(
  review: Review,
  { text, body }: { text: string; body: string },
  lineOf: LineOf,
  look: Look,
): void {
  let tree: unknown;
  try {
    tree = parsePlPgSQLSync(text);
  } catch {
    // As with a record whose columns only the database knows.
    const lines = body.split('\n').map((one) => one.replace(/--.*$/, ''));
    reportUnseen(review, lineOf(1), 'runs a block that could not be read', lines);
    return;
  }
  const constants = constantsOf(tree);
  const variables = variablesOf(tree);
  for (const { query, isDynamic, line } of queriesOf(tree)) {
    if (!isDynamic) {
      const where = { lineOf: (inQuery: number) => lineOf(line + inQuery - 1), variables };
      if (!reviewSql(review, query, where, look) && !reviewSql(review, asStatement(query), where, look))
        reportUnseen(review, lineOf(line), 'runs what could not be read', [query]);
      continue;
    }
    const expression = expressionOf(query);
    const said = constantOf(expression, constants);
    if (said !== undefined)
      reviewSql(review, said, { lineOf: () => lineOf(line), variables: new Set() }, look);
    else
      reportUnseen(review, lineOf(line), 'runs SQL that is put together while it runs', [
        ...constantParts(expression),
        ...textsOf(body),
      ]);
  }
}

/** A statement that PostgreSQL may read and we did not. One of another version's grammar is an error already: asked about only by its words. */
export function reportUnread(
  review: Review,
  line: number,
  { text, isTooDeep }: Pick<Unread, 'text' | 'isTooDeep'>,
): void {
  if (isTooDeep) reportUnseen(review, line, 'is nested too deep to be looked into', [text]);
  else if (destructiveWord.test(text)) reportUnseen(review, line, 'cannot be read here', [text]);
}

/** What cannot be looked into: a word in it, or in a text that it may be made of, is enough to ask before it runs. */
function reportUnseen(review: Review, line: number, what: string, texts: readonly string[] = []): void {
  const telling = texts.find((text) => destructiveWord.test(text));
  const told = telling === undefined ? '' : `, with "${telling.trim().slice(0, 200)}" in it`;
  review.report('dynamic-sql', line, `${what}${told}`, {
    destructive: telling !== undefined,
  });
}

/** FOR UPDATE locks, and ON DELETE says what a foreign key does. */
const destructiveWord = /\b(?:drop|truncate|alter|(?<!\b(?:for|key|on)\s+)(?:delete|update))\b/i;
