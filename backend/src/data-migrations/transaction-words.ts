/*
 * Finds the statements that begin or end a transaction, or that let a session write which may only read. Whoever works
 * on a session of ours works inside of our transaction.
 */

// A group for each character would overflow the stack on a text of megabytes. What is in a comment, a text (plain, E'', $$) or a quoted name is no statement.
const TOKEN =
  /--[^\n]*|\/\*|"[^"]*(?:""[^"]*)*"|(?<![\w$])E'[^'\\]*(?:(?:\\[\s\S]|'')[^'\\]*)*'|'[^']*(?:''[^']*)*'|(?<![\w$])\$([A-Za-z_\u0080-\uFFFF][\w\u0080-\uFFFF]*|)\$[\s\S]*?\$\1\$/gi;
// The body of a function in standard SQL has an END of its own.
const ATOMIC = /\bBEGIN\s+ATOMIC\b[\s\S]*?\bEND\s*(?=;|$)/gi;

/** It ends with the same word. */
const CASE = /\bCASE\b(?:(?!\bCASE\b)[\s\S])*?\bEND\b/gi;

const REFUSED: readonly RegExp[] = [
  /^(?:BEGIN|START\s+TRANSACTION|COMMIT|END|ABORT|PREPARE\s+TRANSACTION)\b/i,
  /^ROLLBACK\b(?!\s+(?:(?:WORK|TRANSACTION)\s+)?TO\b)/i,
  /^SET\s+(?:(?:SESSION|LOCAL)\s+)?TRANSACTION\b.*\bREAD\s+WRITE\b/is,
  /^SET\s+SESSION\s+CHARACTERISTICS\b.*\bREAD\s+WRITE\b/is,
  /^(?:SET|RESET)\s.*\b(?:default_)?transaction_read_only\b/is,
  // With it off, this file would take a text's end for another.
  /^SET\s.*\bstandard_conforming_strings\b/is,
  // It would take the table with it by which the database refuses a COMMIT.
  /^DISCARD\b/i,
];
/** As a text it would be seen nowhere else. */
const BY_FUNCTION = /\bset_config\s*\(\s*'(?:default_)?transaction_read_only'/i;

/** Almost every text is through with this one. */
const ANY =
  /\b(?:BEGIN|START|COMMIT|END|ABORT|PREPARE|ROLLBACK|TRANSACTION|transaction_read_only|default_transaction_read_only|standard_conforming_strings|DISCARD)\b/i;

/** The first statement of `sql` that has no place in somebody else's transaction; undefined where there is none. */
export function findTransactionWord(sql: string): string | undefined {
  if (!ANY.test(sql)) return undefined;
  const byFunction = BY_FUNCTION.exec(sql)?.[0];
  if (byFunction !== undefined) return `${byFunction})`;
  const found = statementsOf(sql).find((one) => REFUSED.some((word) => word.test(one)));
  return found?.replaceAll(/\s+/g, ' ').slice(0, 60);
}

/** The statements of a text without what is in comments, quotes and bodies of functions. */
export function statementsOf(sql: string): string[] {
  return withoutCases(blank(sql))
    .replaceAll(ATOMIC, '')
    .split(';')
    .map((one) => one.trim());
}

function withoutCases(sql: string): string {
  let bare = sql;
  for (let before = ''; before !== bare;) [before, bare] = [bare, bare.replaceAll(CASE, '')];
  return bare;
}

/** The same text with a blank for each comment, and nothing in its quotes. */
function blank(sql: string): string {
  let bare = '';
  let at = 0;
  for (;;) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(sql);
    if (token === null) return bare + sql.slice(at);
    const isComment = /^(?:--|\/\*)/.test(token[0]);
    bare += `${sql.slice(at, token.index)}${isComment ? ' ' : `''`}`;
    at = token[0] === '/*' ? endOfComment(sql, token.index) : token.index + token[0].length;
  }
}

/** Comments of PostgreSQL hold others. */
function endOfComment(sql: string, start: number): number {
  let depth = 0;
  const marks = /\/\*|\*\//g;
  marks.lastIndex = start;
  for (let mark = marks.exec(sql); mark !== null; mark = marks.exec(sql)) {
    depth += mark[0] === '/*' ? 1 : -1;
    if (depth === 0) return marks.lastIndex;
  }
  return sql.length;
}
