import type { AnyNode, CallExpression } from 'acorn';

/* Short readings of JavaScript's syntax tree. */

/** The links of a chain, outermost first: `main().catch(a).finally(b)` is finally, catch, main. */
export function chainOf(call: CallExpression): CallExpression[] {
  const { callee } = call;
  if (callee.type !== 'MemberExpression' || callee.object.type !== 'CallExpression') return [call];
  return [call, ...chainOf(callee.object)];
}

export function methodOf({ callee }: CallExpression): string | undefined {
  if (callee.type !== 'MemberExpression' || callee.property.type !== 'Identifier') return undefined;
  return callee.property.name;
}

/** Looks through a syntax tree, whatever its nodes are. */
export function mentions(node: unknown, isIt: (node: AnyNode) => boolean): boolean {
  if (Array.isArray(node)) return node.some((one) => mentions(one, isIt));
  if (typeof node !== 'object' || node === null || !('type' in node)) return false;
  return isIt(node as AnyNode) || Object.values(node).some((child) => mentions(child, isIt));
}
