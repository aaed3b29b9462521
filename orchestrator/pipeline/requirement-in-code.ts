import { parse } from '@babel/parser';
import type { Expression, Node } from '@babel/types';
import type { Requirement } from './requirement.ts';

/** What stands at a place; `text` is undefined where it says that there is none, 'unreadable' where nobody can tell. */
type Value = { readonly text: string | undefined } | 'unreadable';

interface Declared {
  readonly value: Value;
  readonly line: number;
}

/** Reads what a script declares, in TypeScript or JavaScript, from its syntax tree. Never throws. */
export function parseCode(path: string, text: string): Requirement {
  const nodes: Node[] = [];
  try {
    const isTyped = /\.[cm]?ts$/.test(path);
    const { program } = parse(text, {
      sourceType: path.endsWith('.cjs') ? 'script' : 'module',
      allowReturnOutsideFunction: true,
      errorRecovery: true,
      plugins: isTyped ? ['typescript', 'decorators-legacy'] : ['decorators-legacy'],
    });
    collect(program, nodes);
  } catch (error) {
    const { line = 1 } = (error as { loc?: { line?: number } }).loc ?? {};
    const unreadable = text.includes('requiredBefore') ? `line ${line}` : undefined;
    return { requiredBefore: undefined, introducedIn: undefined, unreadable };
  }
  const constants = constantsIn(nodes);
  const declared = (name: string) => nodes.flatMap((node) => readDeclaration(node, name, constants) ?? []);
  const required = declared('requiredBefore');
  const [first] = texts(required);
  const unclear =
    required.find(({ value }) => value === 'unreadable') ??
    // Two that differ: nobody can tell which one counts.
    required.find(({ value }) => value !== 'unreadable' && value.text !== undefined && value.text !== first);
  return {
    requiredBefore: first?.replace(/\/(?:migration\.sql)?$/, ''),
    introducedIn: texts(declared('introducedIn'))[0],
    unreadable: unclear && `line ${unclear.line}`,
  };
}

const texts = (declared: readonly Declared[]) =>
  declared.flatMap(({ value }) => (value === 'unreadable' ? [] : (value.text ?? [])));

/** All nodes of a tree that can declare something: what is a type, or a pattern that takes apart, does not. */
function collect(node: Node, nodes: Node[]): void {
  if (/^(?:TS(?:Interface|Type(?!Assertion))|ObjectPattern$)/.test(node.type)) return;
  nodes.push(node);
  for (const child of Object.values(node as unknown as Record<string, unknown>).flat())
    if (isNode(child)) collect(child, nodes);
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && 'type' in value && 'loc' in value;

/** What constants of this file are set to, by name; a name that is declared more than once stands for none of them. */
function constantsIn(nodes: readonly Node[]): ReadonlyMap<string, Expression | undefined> {
  const constants = new Map<string, Expression | undefined>();
  for (const node of nodes) {
    if (node.type !== 'VariableDeclaration') continue;
    for (const { id, init } of node.declarations)
      if (id.type === 'Identifier')
        constants.set(
          id.name,
          node.kind === 'const' && !constants.has(id.name) ? (init ?? undefined) : undefined,
        );
  }
  return constants;
}

type Constants = ReturnType<typeof constantsIn>;

/** What a node says under a name: as a property, a member of a class, a getter, a variable, an assignment, an export. */
function readDeclaration(node: Node, name: string, constants: Constants): Declared | undefined {
  const value = readNamed(node, name, constants);
  return value && { value, line: node.loc?.start.line ?? 1 };
}

function readNamed(node: Node, name: string, constants: Constants): Value | undefined {
  const read = (value: Node | null | undefined) => readValue(value, constants);
  switch (node.type) {
    case 'ObjectProperty':
      return isKey(node, name, constants) ? read(node.value) : undefined;
    case 'ClassProperty':
    case 'ClassAccessorProperty':
      // Without a value it is a type.
      return isKey(node, name, constants) && node.value ? read(node.value) : undefined;
    case 'ObjectMethod':
    case 'ClassMethod': {
      if (!isKey(node, name, constants) || node.kind === 'set') return undefined;
      const [only, ...more] = node.body.body;
      const isPlain = node.kind === 'get' && only?.type === 'ReturnStatement' && more.length === 0;
      return isPlain ? read(only.argument) : 'unreadable';
    }
    case 'TSParameterProperty':
      if (node.parameter.type === 'Identifier')
        return node.parameter.name === name ? 'unreadable' : undefined;
      return isNamed(node.parameter.left, name) ? read(node.parameter.right) : undefined;
    case 'VariableDeclarator':
      return isNamed(node.id, name) && node.init ? read(node.init) : undefined;
    case 'AssignmentExpression': {
      const { left, operator, right } = node;
      const isTarget =
        isNamed(left, name) ||
        (left.type === 'MemberExpression' &&
          isKey({ key: left.property, computed: left.computed }, name, constants));
      if (!isTarget) return undefined;
      return operator === '=' ? read(right) : 'unreadable';
    }
    case 'ExportSpecifier': {
      const { exported, local } = node;
      return isNamed(exported, name) && !isNamed(local, name) ? read(local) : undefined;
    }
    default:
      return undefined;
  }
}

const isNamed = (node: Node, name: string) =>
  (node.type === 'Identifier' && node.name === name) ||
  (node.type === 'StringLiteral' && node.value === name);

function isKey(
  { key, computed = false }: { key: Node; computed?: boolean | undefined },
  name: string,
  constants: Constants,
): boolean {
  if (!computed) return isNamed(key, name);
  const value = readValue(key, constants);
  return value !== 'unreadable' && value.text === name;
}

/** A text, a constant of this file, or several of those put together. */
function readValue(node: Node | null | undefined, constants: Constants, depth = 0): Value {
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
