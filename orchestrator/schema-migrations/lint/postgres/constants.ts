import type { FuncCall, Node } from 'libpg-query';
import { findAll, namesOf } from './nodes.ts';

/** The text that an expression always yields; undefined where that depends on something. */
export function constantOf(expression: Node | undefined): string | undefined {
  if (!expression) return undefined;
  if ('A_Const' in expression) {
    const { sval, ival, isnull } = expression.A_Const;
    if (isnull === true) return undefined;
    return sval ? (sval.sval ?? '') : ival ? String(ival.ival ?? 0) : undefined;
  }
  if ('TypeCast' in expression) return constantOf(expression.TypeCast.arg);
  if ('FuncCall' in expression) return formatted(expression.FuncCall);
  if (!('A_Expr' in expression) || namesOf(expression.A_Expr.name).join() !== '||') return undefined;
  const [left, right] = [constantOf(expression.A_Expr.lexpr), constantOf(expression.A_Expr.rexpr)];
  return left === undefined || right === undefined ? undefined : left + right;
}

/** The texts that stand in an expression, whatever becomes of them. */
export function constantParts(expression: Node | undefined): string[] {
  return findAll(expression, ['A_Const']).flatMap(
    ({ node }) => (node as { sval?: { sval?: string } }).sval?.sval ?? [],
  );
}

/** format() with constants alone. */
function formatted({ funcname, args = [] }: FuncCall): string | undefined {
  if (namesOf(funcname).at(-1) !== 'format') return undefined;
  const [text, ...values] = args.map(constantOf);
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
