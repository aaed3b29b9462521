import type { Expression, Node } from '@babel/types';

/** What stands at a place; `text` is undefined where it says that there is none, 'unreadable' where nobody can tell. */
export type Value = { readonly text: string | undefined } | 'unreadable';

/** A node of a syntax tree and where in it it stands. */
export interface Place {
  readonly node: Node;
  readonly parent: Node | undefined;
  /** Under which of its parent's names. */
  readonly role: string;
}

/** What constants of a file are set to, by name; undefined where a name is bound more than once, or is none. */
export type Constants = ReadonlyMap<string, Expression | undefined>;

/** All places of a tree in which something can be said: types, and patterns that take values apart, say nothing. */
export function placesIn(root: Node): Place[] {
  const places: Place[] = [];
  const visit = (place: Place) => {
    const { node } = place;
    if (/^(?:TS(?:Interface|Type(?!Assertion))|ObjectPattern$)/.test(node.type)) return;
    places.push(place);
    for (const { child, role } of childrenOf(node)) visit({ node: child, parent: node, role });
  };
  visit({ node: root, parent: undefined, role: '' });
  return places;
}

export const childrenOf = (node: Node): { child: Node; role: string }[] =>
  Object.entries(node as unknown as Record<string, unknown>).flatMap(([role, value]) =>
    [value].flat().flatMap((child) => (isNode(child) ? [{ child, role }] : [])),
  );

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && 'type' in value && 'loc' in value;

/** Names that are bound anywhere, with their value where there is one only. */
export function constantsIn(places: readonly Place[]): Constants {
  const constants = new Map<string, Expression | undefined>();
  for (const { node, parent } of places) {
    if (node.type !== 'VariableDeclarator' || node.id.type !== 'Identifier') continue;
    const { name } = node.id;
    const isConstant = parent?.type === 'VariableDeclaration' && parent.kind === 'const';
    constants.set(name, isConstant && !constants.has(name) ? (node.init ?? undefined) : undefined);
  }
  // What else has such a name hides it somewhere: a parameter, what is taken apart, a function, an import.
  for (const name of places.flatMap(({ node }) => otherNamesIn(node)))
    if (constants.has(name)) constants.set(name, undefined);
  return constants;
}

function otherNamesIn(node: Node): string[] {
  if (node.type === 'VariableDeclarator') return node.id.type === 'Identifier' ? [] : namesIn(node.id);
  if (node.type === 'CatchClause') return node.param ? namesIn(node.param) : [];
  if ('local' in node && node.local && node.type.startsWith('Import')) return namesIn(node.local);
  const parameters = 'params' in node && Array.isArray(node.params) ? (node.params as Node[]) : [];
  const own = 'id' in node && node.id?.type === 'Identifier' ? [node.id.name] : [];
  return [...own, ...parameters.flatMap(namesIn)];
}

/** Names that a pattern binds: of `{ a: [b = 1], ...c }` b and c. */
export function namesIn(pattern: Node): string[] {
  switch (pattern.type) {
    case 'Identifier':
      return [pattern.name];
    case 'AssignmentPattern':
      return namesIn(pattern.left);
    case 'RestElement':
      return namesIn(pattern.argument);
    case 'TSParameterProperty':
      return namesIn(pattern.parameter);
    case 'ObjectProperty':
      return namesIn(pattern.value);
    case 'ArrayPattern':
    case 'ObjectPattern':
      return childrenOf(pattern).flatMap(({ child, role }) =>
        role === 'typeAnnotation' ? [] : namesIn(child),
      );
    default:
      return [];
  }
}

/** A name in code, or the same in quotes. */
export const isNamed = (node: Node, name: string) =>
  (node.type === 'Identifier' && node.name === name) ||
  (node.type === 'StringLiteral' && node.value === name);

/** Whether a member is called this; a key that is computed counts where it can be read. */
export function isKey(
  { key, computed = false }: { key: Node; computed?: boolean | undefined },
  name: string,
  constants: Constants,
): boolean {
  if (!computed) return isNamed(key, name);
  const value = readValue(key, constants);
  return value !== 'unreadable' && value.text === name;
}

/** A text, a constant of this file, or several of those put together. */
export function readValue(node: Node | null | undefined, constants: Constants, depth = 0): Value {
  const read = (part: Node) => readValue(part, constants, depth + 1);
  // Constants that are made of each other have no end.
  if (!node || depth > 20) return 'unreadable';
  switch (node.type) {
    case 'StringLiteral':
      return { text: node.value };
    case 'NullLiteral':
      return { text: undefined };
    case 'Identifier':
      return node.name === 'undefined'
        ? { text: undefined }
        : readValue(constants.get(node.name), constants, depth + 1);
    case 'TemplateLiteral':
      return join(
        node.quasis.flatMap(({ value }, i) => {
          const part = node.expressions[i];
          return [{ text: value.cooked ?? '' }, ...(part ? [read(part)] : [])];
        }),
      );
    case 'BinaryExpression':
      return node.operator === '+' ? join([read(node.left), read(node.right)]) : 'unreadable';
    case 'TSAsExpression':
    case 'TSSatisfiesExpression':
    case 'TSNonNullExpression':
    case 'TSTypeAssertion':
      return read(node.expression);
    default:
      return 'unreadable';
  }
}

function join(parts: readonly Value[]): Value {
  let text = '';
  for (const part of parts) {
    if (part === 'unreadable' || part.text === undefined) return 'unreadable';
    text += part.text;
  }
  return { text };
}
