import { parsePlPgSQLSync } from 'libpg-query';
import { findAll } from './nodes.ts';

/**
 * The SQL that a DO block runs, statement by statement, with its line in the block, from 1. What it puts together at
 * run time is seen only where it is a constant. Never throws: what does not parse yields nothing.
 */
export function statementsOfDo(text: string): { readonly sql: string; readonly line: number }[] {
  try {
    const tree: unknown = parsePlPgSQLSync(text);
    return findAll(tree, ['PLpgSQL_stmt_execsql', 'PLpgSQL_stmt_dynexecute']).flatMap(({ kind, node }) => {
      const { lineno = 1, sqlstmt, query } = node as PlStatement;
      const said = (kind === 'PLpgSQL_stmt_execsql' ? sqlstmt : query)?.PLpgSQL_expr?.query;
      const sql = kind === 'PLpgSQL_stmt_execsql' ? said : constantOf(said);
      return sql === undefined ? [] : [{ sql, line: lineno }];
    });
  } catch {
    return [];
  }
}

interface PlStatement {
  readonly lineno?: number;
  readonly sqlstmt?: { readonly PLpgSQL_expr?: { readonly query?: string } };
  readonly query?: { readonly PLpgSQL_expr?: { readonly query?: string } };
}

/** A string literal's text. */
function constantOf(expression: string | undefined): string | undefined {
  const literal = /^\s*'((?:[^']|'')*)'\s*$/.exec(expression ?? '')?.[1];
  return literal?.replaceAll("''", "'");
}
