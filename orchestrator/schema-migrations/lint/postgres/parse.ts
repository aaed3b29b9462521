import { hasSqlDetails, loadModule, parseSync, scanSync, type Node, type ScanToken } from 'libpg-query';
import { messageOf } from '../../../lib/errors.ts';
import type { Comment } from '../directives.ts';

/** A statement of a file, as PostgreSQL's own grammar reads it. */
export interface Statement {
  readonly node: Node;
  /** As it is written. */
  readonly text: string;
  /** Of its first word, from 1. */
  readonly line: number;
  /** Of each part of it that commas outside of parentheses set apart: the actions of an ALTER TABLE. */
  readonly partLines: readonly number[];
  /** Of the function or block that it stands in: names in it that may be no columns. */
  readonly variables?: ReadonlySet<string>;
}

export interface ParsedFile {
  readonly statements: readonly Statement[];
  readonly comments: readonly Comment[];
  /** Statements that PostgreSQL may read all the same: nested too deep for us, or in the grammar of another version. */
  readonly unread: readonly Unread[];
  /** Where PostgreSQL stops reading, in its words. The statements that it can read by themselves are there. */
  readonly syntaxError?: { readonly line: number; readonly message: string };
}

export interface Unread extends Pick<Statement, 'line' | 'text'> {
  readonly isTooDeep: boolean;
}

/** What `parsePostgres` needs; quick, and may be called again. */
export async function loadGrammar(): Promise<void> {
  await loadModule();
}

/** Reads a file of SQL; `loadGrammar` comes before it. Never throws for what is in the file. */
export function parsePostgres(file: string): ParsedFile {
  // PostgreSQL skips such bytes, or keeps them in a text; the grammar's own reader stops at them, and sees nothing of the rest.
  const sql = file.replaceAll(controlCharacter, ' ');
  // The grammar counts in bytes.
  const bytes = Buffer.from(sql);
  const lineAt = lineCounter(bytes);
  const tokens = scan(sql);
  if (!tokens) return { statements: [], comments: [], unread: [], ...whereItStops(sql) };
  const comments = tokens.filter(isComment).map(({ start, end }) => ({
    text: textOf(bytes.subarray(start, end).toString()),
    line: lineAt(start),
  }));
  const words = tokens.filter((token) => !isComment(token));
  if (words.every((token) => isSymbol(bytes, token, ';'))) return { statements: [], comments, unread: [] };
  const wordsWithin = walkerOf(words);
  const read = (text: string, start: number): Statement[] =>
    (parseSync(text).stmts ?? []).flatMap(({ stmt, stmt_location: from = 0, stmt_len: length }) => {
      const begin = start + from;
      const end = length === undefined || length === 0 ? start + Buffer.byteLength(text) : begin + length;
      const own = wordsWithin(begin, end);
      const first = own[0];
      if (stmt === undefined || first === undefined) return [];
      return [
        {
          node: stmt,
          text: bytes.toString('utf8', first.start, end),
          line: lineAt(first.start),
          partLines: partStarts(bytes, own).map(lineAt),
        },
      ];
    });
  try {
    return { statements: read(sql, 0), comments, unread: [] };
  } catch {
    // The grammar is one version's, and the server may be of another: one statement that it refuses hides none of the others.
    const unread: ParsedFile['unread'][number][] = [];
    const pieces = splitAtSemicolons(bytes, words).flatMap(([from, to]) => {
      const text = bytes.toString('utf8', from, to);
      try {
        return read(text, from);
      } catch (error) {
        const first = words.find(({ start }) => start >= from);
        const line = lineAt(first?.start ?? from);
        unread.push({ line, text, isTooDeep: error instanceof RangeError });
        return [];
      }
    });
    return { statements: pieces, comments, unread, ...whereItStops(sql) };
  }
}

const controlCharacter = /(?![\t\n\r])\p{Cc}/gu;

/** The words that begin within a piece of the file, for pieces that are asked for in their order: each word is met once. */
function walkerOf(words: readonly ScanToken[]): (begin: number, end: number) => readonly ScanToken[] {
  let next = 0;
  return (begin, end) => {
    while ((words[next]?.start ?? begin) < begin) next += 1;
    const first = next;
    while ((words[next]?.start ?? end) < end) next += 1;
    return words.slice(first, next);
  };
}

function splitAtSemicolons(bytes: Buffer, words: readonly ScanToken[]): [from: number, to: number][] {
  const ends = words.filter((word) => isSymbol(bytes, word, ';')).map(({ start }) => start);
  return [...ends, bytes.length].map((end, index) => [(ends[index - 1] ?? -1) + 1, end]);
}

/** The words of a file; undefined where it does not even come apart into words. */
function scan(sql: string): readonly ScanToken[] | undefined {
  try {
    // It refuses an empty text.
    return scanSync(`${sql}\n`).tokens;
  } catch {
    return undefined;
  }
}

const isComment = ({ tokenName }: ScanToken) => tokenName === 'SQL_COMMENT' || tokenName === 'C_COMMENT';

const isSymbol = (bytes: Buffer, { start, end }: ScanToken, symbol: string) =>
  end - start === 1 && bytes.toString('latin1', start, end) === symbol;

/** What a comment says, without its marks. */
function textOf(comment: string): string {
  return comment
    .replace(/^--+|^\/\*+|\*+\/$/g, '')
    .replaceAll(/\n\s*\*+/g, '\n')
    .trim();
}

/** Where the parts of a statement begin: the first word, and each one after a comma outside of parentheses. */
function partStarts(bytes: Buffer, words: readonly ScanToken[]): number[] {
  const starts = [words[0]?.start ?? 0];
  let depth = 0;
  for (const [index, word] of words.entries()) {
    if (isSymbol(bytes, word, '(')) depth += 1;
    if (isSymbol(bytes, word, ')')) depth -= 1;
    const next = words[index + 1];
    if (depth === 0 && isSymbol(bytes, word, ',') && next) starts.push(next.start);
  }
  return starts;
}

/** The line of a byte, for bytes that are asked for in any order. */
function lineCounter(bytes: Buffer): (offset: number) => number {
  const ends: number[] = [];
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) ends.push(at);
  return (offset) => {
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((ends[middle] ?? 0) < offset) low = middle + 1;
      else high = middle;
    }
    return low + 1;
  };
}

/** Where and why PostgreSQL stops reading. Its position counts characters. */
function whereItStops(sql: string): Pick<ParsedFile, 'syntaxError'> {
  try {
    parseSync(sql);
    return { syntaxError: { line: 1, message: 'it cannot be read' } };
  } catch (error) {
    // Its grammar is content.
    if (error instanceof RangeError) return {};
    const position = hasSqlDetails(error) ? (error.sqlDetails?.cursorPosition ?? 0) : 0;
    const before = Array.from(sql).slice(0, position);
    const line = before.filter((character) => character === '\n').length + 1;
    return { syntaxError: { line, message: messageOf(error) } };
  }
}
