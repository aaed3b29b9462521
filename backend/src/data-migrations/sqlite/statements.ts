/*
 * Where one statement of SQLite's ends and the next begins, and which of them have no place in a file that is one
 * transaction.
 */

// What is in a comment, a text or a quoted name is no statement.
const TOKEN = /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]/g;
/** It ends with the word of a transaction. */
const CASE = /\bCASE\b(?:(?!\bCASE\b)[\s\S])*?\bEND\b/gi;
/** Its body holds statements of its own. */
const TRIGGER = /\bCREATE\s+(?:TEMP\s+|TEMPORARY\s+)?TRIGGER\b[\s\S]*?;\s*END\s*(?=;|$)/gi;

const OWN_TRANSACTION = /^(?:BEGIN|COMMIT|END|ROLLBACK(?!\s+(?:TRANSACTION\s+)?TO\b))\b/i;
const OUTSIDE_ONLY =
  /^(?:VACUUM|ATTACH|DETACH|PRAGMA\s+(?:\w+\.)?(?:foreign_keys|journal_mode|synchronous))\b/i;

/** The statements of a text, without comments and what is quoted. */
export function statementsOf(sql: string): string[] {
  let bare = sql
    .replace(/^\uFEFF/, '')
    .replaceAll(TOKEN, (token) => (/^(?:--|\/\*)/.test(token) ? ' ' : `''`));
  for (let before = ''; before !== bare;) [before, bare] = [bare, bare.replaceAll(CASE, "''")];
  return bare
    .replaceAll(TRIGGER, 'CREATE TRIGGER')
    .split(';')
    .map((one) => one.trim())
    .filter((one) => one !== '');
}

export function countStatements(sql: string): number {
  return sql.includes(';') ? statementsOf(sql).length : 1;
}

/** What is wrong with a file of SQL, as far as its text tells; undefined where nothing is. */
export function findSqliteProblem(text: string): string | undefined {
  const statements = statementsOf(text);
  if (statements.length === 0) return 'it holds no statement';
  if (statements.some((one) => OWN_TRANSACTION.test(one)))
    return 'it opens or ends a transaction of its own: take that out, the whole file is one';
  const outside = statements.map((one) => OUTSIDE_ONLY.exec(one)?.[0]).find(Boolean);
  if (outside !== undefined)
    return `it holds what SQLite does not do in a transaction (${outside}): write it as code, statement by statement`;
  return undefined;
}
