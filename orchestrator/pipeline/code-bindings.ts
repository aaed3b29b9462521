import type { Node } from '@babel/types';
import { childrenOf, namesIn } from './code-values.ts';

/** Where a name of a file may have what it holds. */
export type Source =
  | { readonly kind: 'value' | 'part'; readonly node: Node }
  | { readonly kind: 'import'; readonly from: string }
  | { readonly kind: 'parameter' };

/** All sources of one name; two uses of one name in one place have the same. */
export type Binding = Source[];

/** Which names mean what where, and what functions give back. */
export interface Bindings {
  /** Undefined for a name that no line of the file binds. */
  of(identifier: Node): Binding | undefined;
  /** What stands behind `return` in a function, or behind its arrow. */
  returnsOf(of: Node): readonly Node[];
}

interface Scope {
  readonly names: Map<string, Binding>;
  readonly around: Scope | undefined;
  readonly returns: Node[];
}

const newScope = (around?: Scope): Scope => ({ names: new Map(), around, returns: [] });

const isFunction = (node: Node) =>
  /^(?:Function(?:Declaration|Expression)|ArrowFunctionExpression|(?:Object|Class(?:Private)?)Method)$/.test(
    node.type,
  );

/** What stands in a pattern for what is not there: of `{ a = 1 }` the 1. */
const defaultsIn = (pattern: Node): Node[] =>
  childrenOf(pattern).flatMap(({ child }) => [
    ...(child.type === 'AssignmentPattern' ? [child.right] : []),
    ...(/Pattern$|^ObjectProperty$/.test(child.type) ? defaultsIn(child) : []),
  ]);

/** Finds them by function; a block's own names count as its function's, which may only find more than there is. */
export function bindingsIn(program: Node): Bindings {
  const scopes = new Map<Node, Scope>();
  const assignments: { left: Node; right: Node; scope: Scope }[] = [];
  const bind = (names: readonly string[], source: Source, scope: Scope) => {
    for (const name of names) scope.names.set(name, [...(scope.names.get(name) ?? []), source]);
  };
  const visit = (node: Node, scope: Scope, from: string) => {
    if (/^TS(?:Interface|Type(?!Assertion))/.test(node.type)) return;
    scopes.set(node, scope);
    let inner = scope;
    if ((node.type === 'FunctionDeclaration' || node.type === 'ClassDeclaration') && node.id)
      bind([node.id.name], { kind: 'value', node }, scope);
    if (isFunction(node)) {
      inner = newScope(scope);
      scopes.set(node, inner);
      if ('params' in node && Array.isArray(node.params))
        bind((node.params as Node[]).flatMap(namesIn), { kind: 'parameter' }, inner);
      if (node.type === 'ArrowFunctionExpression' && node.body.type !== 'BlockStatement')
        inner.returns.push(node.body);
    }
    if (node.type === 'ReturnStatement' && node.argument) scope.returns.push(node.argument);
    if (node.type === 'VariableDeclarator') {
      const kind = node.id.type === 'Identifier' ? 'value' : 'part';
      const names = namesIn(node.id);
      for (const name of names) if (!scope.names.has(name)) scope.names.set(name, []);
      if (node.init) bind(names, { kind, node: node.init }, scope);
      for (const value of defaultsIn(node.id)) bind(names, { kind, node: value }, scope);
    }
    if (node.type === 'CatchClause' && node.param) bind(namesIn(node.param), { kind: 'parameter' }, scope);
    if ('local' in node && node.local && /^Import\w*Specifier$/.test(node.type))
      bind(namesIn(node.local), { kind: 'import', from }, scope);
    if (
      node.type === 'TSImportEqualsDeclaration' &&
      node.moduleReference.type === 'TSExternalModuleReference'
    )
      bind([node.id.name], { kind: 'import', from: node.moduleReference.expression.value }, scope);
    if (node.type === 'AssignmentExpression') assignments.push({ left: node.left, right: node.right, scope });
    const source = node.type === 'ImportDeclaration' ? node.source.value : from;
    for (const { child } of childrenOf(node)) visit(child, inner, source);
  };
  visit(program, newScope(), '');
  const find = (name: string, from?: Scope): Binding | undefined => {
    for (let scope = from; scope; scope = scope.around)
      if (scope.names.has(name)) return scope.names.get(name);
    return undefined;
  };
  for (const { left, right, scope } of assignments) {
    const kind = left.type === 'Identifier' ? 'value' : 'part';
    for (const name of namesIn(left)) find(name, scope)?.push({ kind, node: right });
  }
  return {
    of: (node) => (node.type === 'Identifier' ? find(node.name, scopes.get(node)) : undefined),
    returnsOf: (node) => (isFunction(node) ? (scopes.get(node)?.returns ?? []) : []),
  };
}
