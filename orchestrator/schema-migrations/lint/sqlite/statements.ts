import { scanSync } from 'libpg-query';

/** A statement of a file for SQLite, as words. */
export interface SqliteStatement {
  readonly text: string;
  /** Of its first word, from 1. */
  readonly line: number;
  /** Words and symbols without comments: bare words in upper case, names without their quotes. */
  readonly words: readonly string[];
}

export interface SqliteFile {
  readonly statements: readonly SqliteStatement[];
  readonly comments: readonly { readonly text: string; readonly line: number }[];
}

/**
 * Takes a file apart. The words are PostgreSQL's, which SQLite shares but for its other quotes (`[a]`, `` `a` ``); what
 * they mean SQLite itself says. A trigger's body holds semicolons: it ends with END.
 */
export function splitSqlite(sql: string): SqliteFile {
  const text = toCommonQuotes(sql);
  const bytes = Buffer.from(text);
  const lineOf = (offset: number) => bytes.subarray(0, offset).filter((byte) => byte === 10).length + 1;
  const statements: SqliteStatement[] = [];
  const comments: { text: string; line: number }[] = [];
  let words: string[] = [];
  let from: number | undefined;
  for (const { start, end, tokenName } of scanSync(`${text}\n`).tokens) {
    const word = bytes.toString('utf8', start, end);
    if (tokenName === 'SQL_COMMENT' || tokenName === 'C_COMMENT') {
      comments.push({ text: word.replaceAll(/^--+|^\/\*+|\*+\/$/g, '').trim(), line: lineOf(start) });
      continue;
    }
    const isInTrigger = words.includes('TRIGGER') && words[0] === 'CREATE' && words.at(-1) !== 'END';
    if (word === ';' && !isInTrigger) {
      if (from !== undefined)
        statements.push({ text: sliceOf(bytes, from, start), line: lineOf(from), words });
      [words, from] = [[], undefined];
      continue;
    }
    from ??= start;
    words.push(/^["'].*["']$/s.test(word) ? word.slice(1, -1).replaceAll('""', '"') : word.toUpperCase());
  }
  if (from !== undefined)
    statements.push({ text: sliceOf(bytes, from, bytes.length), line: lineOf(from), words });
  return { statements, comments };
}

const sliceOf = (bytes: Buffer, from: number, to: number) => bytes.toString('utf8', from, to);

/** Names in brackets and backticks as names in quotes; texts and comments stay as they are. */
function toCommonQuotes(sql: string): string {
  return sql.replaceAll(
    /('(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[^]*?\*\/)|`((?:[^`]|``)*)`|\[([^\]\n]*)\]/g,
    (whole, kept: string | undefined, ticked: string | undefined, bracketed: string | undefined) =>
      kept === undefined
        ? `"${(ticked?.replaceAll('``', '`') ?? bracketed ?? '').replaceAll('"', '""')}"`
        : whole,
  );
}
