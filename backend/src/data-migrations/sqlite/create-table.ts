/*
 * The text of a CREATE TABLE, as sqlite_schema has it: what a table was made by is the only place where all of it is
 * said (checks, collations, expressions), so that is what is edited.
 */

/** Comments and blanks, texts and bytes, quoted names, numbers, words, and anything else one by one. */
const TOKEN =
  /\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|x?'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|\.?\d(?:e[+-]|[\w.])*|[\w$\u0080-\u{10ffff}]+|[\s\S]/giu;
const TRIVIA = /^(?:\s|--|\/\*)/;
const LITERAL =
  /^(?:[+-]?\s*(?:0x[\da-f]+|(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)|x?'(?:[^']|'')*'|true|false)$/i;

interface Token {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** A constant that is not null, written as one: a number, a text, bytes, true or false. */
export function isLiteral(sql: string): boolean {
  return LITERAL.test(sql.trim());
}

/** As a column's definition wants it. */
export function defaultClause(sql: string): string {
  return `DEFAULT ${isLiteral(sql) ? sql.trim() : `(${sql})`}`;
}

/** True for SQL with this word outside of texts, comments and quoted names. */
export function hasWord(sql: string, word: string): boolean {
  return tokensOf(sql).some((token) => isWord(token, word));
}

/**
 * The same table by another name, with a column of it that has another default, and none for null.
 *
 * @param changes `table`: quoted; `notNull`: what is to be added, if anything
 * @throws Error for a text that it does not understand
 */
export function editCreateTable(
  sql: string,
  column: string,
  changes: { readonly table: string; readonly default: string; readonly notNull: boolean },
): string {
  const tokens = tokensOf(sql);
  const [create, table, name, opening] = tokens;
  const definition = definitionsOf(tokens.slice(4)).find(([first]) => isNamed(first, column));
  const last = definition?.at(-1);
  if (
    !isWord(create, 'CREATE') ||
    !isWord(table, 'TABLE') ||
    name === undefined ||
    opening?.text !== '(' ||
    definition === undefined ||
    last === undefined
  )
    throw new Error(`its CREATE TABLE is not understood: ${sql.slice(0, 200)}`);
  const edits = [
    { start: name.start, end: name.end, text: changes.table },
    ...defaultsOf(definition).map(({ start, end }) => ({ start, end, text: '' })),
    {
      ...{ start: last.end, end: last.end },
      text: `${changes.notNull ? ' NOT NULL' : ''} ${defaultClause(changes.default)}`,
    },
  ];
  let result = '';
  let at = 0;
  for (const { start, end, text } of edits) {
    result += sql.slice(at, start) + text;
    at = end;
  }
  return result + sql.slice(at);
}

function tokensOf(sql: string): Token[] {
  return [...sql.matchAll(TOKEN)]
    .filter(([text]) => !TRIVIA.test(text))
    .map(({ 0: text, index }) => ({ text, start: index, end: index + text.length }));
}

/** What is between the commas; columns come first. */
function definitionsOf(tokens: readonly Token[]): Token[][] {
  const all: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token.text === '(') depth += 1;
    if (token.text === ')') depth -= 1;
    if (depth < 0) return all;
    if (depth === 0 && token.text === ',') all.push([]);
    else all.at(-1)?.push(token);
  }
  return [];
}

/** Where a column's default is said. */
function defaultsOf(definition: readonly Token[]): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = [];
  let depth = 0;
  for (const [index, token] of definition.entries()) {
    if (token.text === '(') depth += 1;
    if (token.text === ')') depth -= 1;
    // ON DELETE SET DEFAULT is none.
    if (depth > 0 || !isWord(token, 'DEFAULT') || isWord(definition[index - 1], 'SET')) continue;
    const end = definition[endOfValue(definition, index + 1)];
    if (end !== undefined) found.push({ start: token.start, end: end.end });
  }
  return found;
}

/** The index of the last token of `(...)`, of a number with its sign, or of one token. */
function endOfValue(tokens: readonly Token[], from: number): number {
  const text = tokens[from]?.text;
  if (text === '+' || text === '-') return from + 1;
  if (text !== '(') return from;
  let depth = 0;
  for (let index = from; index < tokens.length; index += 1) {
    if (tokens[index]?.text === '(') depth += 1;
    if (tokens[index]?.text === ')') depth -= 1;
    if (depth === 0) return index;
  }
  return tokens.length;
}

function isWord(token: Token | undefined, word: string): boolean {
  return token?.text.toUpperCase() === word;
}

function isNamed(token: Token | undefined, name: string): boolean {
  return token !== undefined && sameName(unquote(token.text), name);
}

function unquote(text: string): string {
  const [quote = ''] = text;
  if (quote === '[') return text.slice(1, -1);
  return `"'\``.includes(quote) ? text.slice(1, -1).replaceAll(quote + quote, quote) : text;
}

/** SQLite's names differ by more than the case of A to Z. */
export function sameName(one: string, other: string): boolean {
  const lower = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
  return lower(one) === lower(other);
}
