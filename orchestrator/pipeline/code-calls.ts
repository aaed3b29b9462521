import type { ArgumentPlaceholder, CallExpression, Node } from '@babel/types';
import { childrenOf, isNamed, readValue, type Constants } from './code-values.ts';

/* What calls in code look like. */

/** `[key()]`, and not `[Symbol.iterator]`. */
export function isUnreadableKey(key: Node, constants: Constants): boolean {
  if (key.type === 'MemberExpression' && isNamed(key.object, 'Symbol')) return false;
  return key.type !== 'NumericLiteral' && readValue(key, constants) === 'unreadable';
}

/** Helpers that give back what they get, by a name that many tools use: `defineMigration({ ... })`. */
export const IDENTITY = /^define(?:[A-Z]\w*)?$/;

/** The last of its names: assign of `Object.assign`. */
export function nameOf(callee: Node): string {
  if (callee.type === 'Identifier') return callee.name;
  return callee.type === 'MemberExpression' && callee.property.type === 'Identifier'
    ? callee.property.name
    : '';
}

/** What a call of `require` names; empty where that cannot be read. */
export function required(node: Node): string | undefined {
  if (node.type !== 'CallExpression' || nameOf(node.callee) !== 'require') return undefined;
  const [from]: (Node | ArgumentPlaceholder)[] = node.arguments;
  return from?.type === 'StringLiteral' ? from.value : '';
}

export const isPackage = (from: string) => /^(?:node:|@[\w.~-]+\/|[a-z\d])/i.test(from);

/** `Object.assign(this, options)`, somewhere in it. */
export const takesMembers = (node: Node): boolean =>
  isPuttingIn(node, ({ type }) => type === 'ThisExpression') ||
  childrenOf(node).some(({ child }) => takesMembers(child));

/** A call that by its name puts members into something that it is given. */
export function isPuttingIn(node: Node, isIt: (part: Node) => boolean): node is CallExpression {
  return (
    node.type === 'CallExpression' &&
    /assign|merge|extend|default|mixin|prototype|propert|export|^set$/i.test(nameOf(node.callee)) &&
    node.arguments.some(isIt)
  );
}
