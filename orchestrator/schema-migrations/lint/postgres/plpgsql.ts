import { parseSync, scanSync, type Node } from 'libpg-query';
import { constantOf, type Constants } from './constants.ts';
import { findAll } from './nodes.ts';

/* The tree of a body in PL/pgSQL, in which every piece of SQL is a text. */

export interface Query {
  readonly query: string;
  /** It is an expression that yields the SQL. */
  readonly isDynamic: boolean;
  /** In the body, from 1. */
  readonly line: number;
}

/** Every piece of SQL in a tree of PL/pgSQL. Expressions are among them, which do not parse as statements. */
export function queriesOf(tree: unknown, line = 1, kind = '', name = ''): Query[] {
  if (Array.isArray(tree)) return tree.flatMap((one) => queriesOf(one, line, kind));
  if (typeof tree !== 'object' || tree === null) return [];
  const { lineno, PLpgSQL_expr: expression } = tree as {
    lineno?: unknown;
    PLpgSQL_expr?: { query?: string };
  };
  if (expression?.query !== undefined) {
    const isDynamic = name === 'dynquery' || (name === 'query' && dynamicStatements.has(kind));
    return [{ query: expression.query, isDynamic, line }];
  }
  const at = typeof lineno === 'number' ? lineno : line;
  return Object.entries(tree).flatMap(([key, value]) => queriesOf(value, at, name, key));
}

const dynamicStatements = new Set(['PLpgSQL_stmt_dynexecute', 'PLpgSQL_stmt_dynfors']);

/** An expression as a statement that computes it; an assignment, `a[f()] := g()`, as a comparison, which calls the same. */
export const asStatement = (expression: string) => `SELECT ${expression.replace(':=', '=')}`;

/** The expression that a text is; undefined where it is none. */
export function expressionOf(text: string): Node | undefined {
  try {
    const [found] = findAll(parseSync(`SELECT ${text}`), ['ResTarget']);
    return (found?.node as { val?: Node } | undefined)?.val;
  } catch {
    return undefined;
  }
}

/**
 * The variables of a body that hold what they are declared with: nothing assigns to them, by := or INTO or a loop. What a
 * CALL assigns to, the tree does not tell.
 */
export function constantsOf(tree: unknown): Constants {
  const assigned = new Set(
    findAll(tree, ['varno', 'target']).flatMap(({ node }) => (typeof node === 'number' ? node : [])),
  );
  const hasCall = findAll(tree, ['PLpgSQL_stmt_call']).length > 0;
  const datums = datumsOf(tree);
  const names = datums.map(({ PLpgSQL_var: variable }) => variable?.refname);
  return new Map(
    datums.flatMap(({ PLpgSQL_var: variable }, index) => {
      const isKept = variable?.isconst === true || (!assigned.has(index) && !hasCall);
      // Of two with one name it depends on where they are.
      if (!variable || !isKept || names.indexOf(variable.refname) !== names.lastIndexOf(variable.refname))
        return [];
      const value = constantOf(expressionOf(variable.default_val?.PLpgSQL_expr.query ?? 'null'));
      return value === undefined ? [] : [[variable.refname, value] as const];
    }),
  );
}

/** The names of a body's variables, and of its arguments. */
export function variablesOf(tree: unknown): Set<string> {
  return new Set(
    datumsOf(tree).flatMap(
      ({ PLpgSQL_var: variable, PLpgSQL_rec: record }) => (variable ?? record)?.refname ?? [],
    ),
  );
}

const datumsOf = (tree: unknown) => findAll(tree, ['datums']).flatMap(({ node }) => node as readonly Datum[]);

interface Datum {
  readonly PLpgSQL_rec?: { readonly refname: string };
  readonly PLpgSQL_var?: {
    readonly refname: string;
    readonly isconst?: boolean;
    readonly default_val?: { readonly PLpgSQL_expr: { readonly query: string } };
  };
}

/** The texts in quotes that stand in a body, wherever. */
export function textsOf(body: string): string[] {
  try {
    return scanSync(`${body}\n`)
      .tokens.filter(({ tokenName }) => /^U?SCONST$/.test(tokenName))
      .map(({ text }) => text);
  } catch {
    return [body];
  }
}
