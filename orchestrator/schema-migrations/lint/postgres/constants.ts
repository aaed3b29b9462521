import type { FuncCall, Node } from 'libpg-query';
import { findAll, namesOf } from './nodes.ts';

/** Variables that always hold the same text. */
export type Constants = ReadonlyMap<string, string>;

/** The text that an expression always yields; undefined where that depends on something. */
export function constantOf(
  expression: Node | undefined,
  constants: Constants = new Map(),
): string | undefined {
  if (!expression) return undefined;
  if ('ColumnRef' in expression) {
    const [name = '', ...more] = namesOf(expression.ColumnRef.fields);
    return more.length === 0 ? constants.get(name) : undefined;
  }
  if ('A_Const' in expression) {
    const { sval, ival, isnull } = expression.A_Const;
    if (isnull === true) return undefined;
    return sval ? (sval.sval ?? '') : ival ? String(ival.ival ?? 0) : undefined;
  }
  if ('TypeCast' in expression) return constantOf(expression.TypeCast.arg, constants);
  if ('FuncCall' in expression) return formatted(expression.FuncCall, constants);
  if (!('A_Expr' in expression) || namesOf(expression.A_Expr.name).join() !== '||') return undefined;
  const { lexpr, rexpr } = expression.A_Expr;
  const [left, right] = [constantOf(lexpr, constants), constantOf(rexpr, constants)];
  return left === undefined || right === undefined ? undefined : left + right;
}

/** The texts that stand in an expression, whatever becomes of them. */
export function constantParts(expression: Node | undefined): string[] {
  return findAll(expression, ['A_Const']).flatMap(
    ({ node }) => (node as { sval?: { sval?: string } }).sval?.sval ?? [],
  );
}

/** format() with constants alone. */
function formatted({ funcname, args = [] }: FuncCall, constants: Constants): string | undefined {
  if (namesOf(funcname).at(-1) !== 'format') return undefined;
  const [text, ...values] = args.map((one) => constantOf(one, constants));
  if (text === undefined || values.includes(undefined)) return undefined;
  let next = 0;
  return text.replaceAll(/%([sIL%])/g, (_whole, kind: string) => {
    if (kind === '%') return '%';
    const value = values[next] ?? '';
    next += 1;
    if (kind === 'L') return `'${value.replaceAll("'", "''")}'`;
    return kind === 'I' ? `"${value.replaceAll('"', '""')}"` : value;
  });
}

/** A time limit of 0, in whatever unit, is none. */
export const meansNone = (limit: string) => /^0+\D*$/.test(limit);
