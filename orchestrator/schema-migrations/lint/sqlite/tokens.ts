import type { Comment } from '../directives.ts';

/** A word, a name, a text or a symbol of a file for SQLite. */
export interface Token {
  /** A bare word in upper case; empty for everything else, so that a column called "where" is no WHERE. */
  readonly word: string;
  /** As it stands there; of a name in quotes what is between them. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** From 1. */
  readonly line: number;
  /** How many parentheses are open around it; of a parenthesis, around the pair. */
  readonly depth: number;
}

export interface Tokens {
  readonly tokens: readonly Token[];
  readonly comments: readonly Comment[];
}

/*
 * As SQLite's own tokenizer has it (sqlite.org/src/file/src/tokenize.c): a comment may end with the file, everything above
 * ASCII is a letter, a byte order mark is a space. Numbers and texts need no more than to be seen as one.
 */
const pattern = new RegExp(
  [
    String.raw`(?<space>[ \t\n\f\r\uFEFF]+)`,
    String.raw`(?<comment>--[^\n]*|\/\*[^]*?(?:\*\/|$))`,
    String.raw`(?<text>'[^']*(?:''[^']*)*(?:'|$))`,
    '(?<name>"[^"]*(?:""[^"]*)*(?:"|$)|`[^`]*(?:``[^`]*)*(?:`|$)|\\[[^\\]]*(?:\\]|$))',
    String.raw`(?<number>\.?\d[\w.]*)`,
    String.raw`(?<word>[A-Za-z_\x80-\uFFFF][\w$\x80-\uFFFF]*)`,
    '(?<symbol>[^])',
  ].join('|'),
  'gy',
);

/** Takes a file apart. Never throws: what SQLite does not take, SQLite says. */
export function tokenize(sql: string): Tokens {
  const tokens: Token[] = [];
  const comments: Comment[] = [];
  let [line, depth] = [1, 0];
  for (const match of sql.matchAll(pattern)) {
    const [whole] = match;
    const { space, comment, name, word } = match.groups ?? {};
    if (comment !== undefined) comments.push({ text: textOf(comment), line });
    else if (space === undefined) {
      if (whole === ')') depth = Math.max(0, depth - 1);
      if (whole === ';') depth = 0;
      tokens.push({
        word: word?.toUpperCase() ?? '',
        text: name === undefined ? whole : withoutQuotes(name),
        ...{ start: match.index, end: match.index + whole.length, line, depth },
      });
      if (whole === '(') depth += 1;
    }
    line += newlinesIn(whole);
  }
  return { tokens, comments };
}

function newlinesIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count += 1;
  return count;
}

const textOf = (comment: string) => comment.replaceAll(/^--+|^\/\*+|\*+\/$/g, '').trim();

function withoutQuotes(name: string): string {
  const inside = name.slice(1, -1);
  const quote = name.charAt(0);
  return quote === '[' ? inside : inside.replaceAll(quote + quote, quote);
}

/** Names are the same to SQLite in upper and lower case, of ASCII alone. */
export const fold = (name: string) => name.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());

const temporary = '\0';

/** By what a table is known: its folded name. A temporary one may be called like another, and has what no name can have. */
export const tableKey = (name: string, isTemporary = false) => (isTemporary ? temporary : '') + fold(name);

export const isTemporaryKey = (key: string) => key.startsWith(temporary);

/** Where this bare word stands outside of all parentheses, or -1. */
export const indexOfOwn = (tokens: readonly Token[], ...words: readonly string[]) =>
  tokens.findIndex(({ word, depth }) => depth === 0 && words.includes(word));

/**
 * The name that begins at a token, after its schema where it has one.
 *
 * @returns the name, and the index of the token after it
 */
export function nameAt(tokens: readonly Token[], index: number): { name: string; next: number } {
  const isQualified = tokens[index + 1]?.text === '.' && tokens[index + 1]?.word === '';
  const at = isQualified ? index + 2 : index;
  return { name: tokens[at]?.text ?? '', next: at + 1 };
}

/** What a CREATE makes: TABLE, INDEX, TRIGGER. Temporary ones, too. */
export function createdKind([first, second, third]: readonly Token[]): string | undefined {
  if (first?.word !== 'CREATE') return undefined;
  return second?.word === 'TEMP' || second?.word === 'TEMPORARY' ? third?.word : second?.word;
}

/** Where the query of a CREATE TABLE ... AS begins. */
export function queryOfTable(tokens: readonly Token[]): number | undefined {
  if (createdKind(tokens) !== 'TABLE') return undefined;
  const as = tokens.findIndex(({ word }) => word === 'AS');
  // Columns in parentheses have been there otherwise, and generated ones say AS, too.
  return as === -1 || tokens.slice(0, as).some(({ text }) => text === '(') ? undefined : as + 1;
}

/** The parts between tokens outside of all parentheses. */
export function splitBy(tokens: readonly Token[], isBetween: (token: Token) => boolean): Token[][] {
  const parts: Token[][] = [[]];
  for (const token of tokens)
    if (token.depth === 0 && isBetween(token)) parts.push([]);
    else parts.at(-1)?.push(token);
  return parts;
}
