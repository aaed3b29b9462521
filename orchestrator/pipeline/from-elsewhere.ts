import type { CallExpression, Node, NewExpression, OptionalCallExpression } from '@babel/types';
import type { Binding, Bindings, Source } from './code-bindings.ts';
import { IDENTITY, isPackage, isUnreadableKey, nameOf, required, takesMembers } from './code-calls.ts';
import { childrenOf, isKey, isNamed, namesIn, type Constants } from './code-values.ts';

/** What is known of a file in which somebody looks for members of another one. */
export interface Look {
  /** The member that may be there. */
  readonly name: string;
  readonly bindings: Bindings;
  readonly constants: Constants;
  /** Names that were gone through, from what was asked about to what it is made of. */
  readonly seen: Set<Binding>;
  /** Parameters that are taken for something from elsewhere, to see whether the arguments for them matter. */
  readonly parameters: readonly string[];
  /** Answers, by question and place; false while one is looked for, since things may be made of each other. */
  readonly known: Map<string, boolean>;
}

type Call = CallExpression | OptionalCallExpression | NewExpression;

/**
 * Whether an object, or a class, may have members that stand in another file, or keys that nobody can read. What is
 * written here is not from elsewhere, and neither is what a package makes of it; what an own file makes of it may be.
 */
export function isOpen(node: Node, look: Look): boolean {
  return once('value', node, look, () => judge(node, look));
}

function once(question: string, node: Node, look: Look, answer: () => boolean): boolean {
  const key = `${question} ${node.type} ${node.start} ${node.end} ${look.parameters.join(' ')}`;
  const known = look.known.get(key);
  if (known !== undefined) return known;
  look.known.set(key, false);
  const is = answer();
  look.known.set(key, is);
  return is;
}

function judge(node: Node, look: Look): boolean {
  const inside = (part: Node) => isOpen(part, look);
  switch (node.type) {
    case 'Identifier':
      return isAnySource(node, look, ({ kind, node: of }) =>
        kind === 'value' ? inside(of) : holdsOpen(of, look),
      );
    case 'ClassDeclaration':
    case 'ClassExpression':
      return isOpenClass(node, look);
    case 'ObjectExpression':
      return isOpenObject(node.properties, look);
    case 'CallExpression':
    case 'OptionalCallExpression':
    case 'NewExpression':
      return isOpenCall(node, look);
    case 'MemberExpression':
    case 'OptionalMemberExpression':
      return holdsOpen(node.object, look);
    case 'AwaitExpression':
    case 'ImportExpression':
    case 'ExportSpecifier':
    case 'ExportNamespaceSpecifier':
      return true;
    case 'ConditionalExpression':
      return inside(node.consequent) || inside(node.alternate);
    case 'SequenceExpression':
      return node.expressions.slice(-1).some(inside);
    case 'AssignmentExpression':
      return inside(node.right);
    case 'FunctionDeclaration':
    case 'FunctionExpression':
    case 'ArrowFunctionExpression':
    case 'TemplateLiteral':
      return false;
    default:
      return partsOf(node).some(inside);
  }
}

/** What an expression of another kind is made of: `a ?? b`, `[a, b]`, `a as B`. */
const partsOf = (node: Node) =>
  childrenOf(node).flatMap(({ child }) =>
    /^TS(?!As|Satisfies|NonNull|TypeAssertion)/.test(child.type) ? [] : child,
  );

function isAnySource(
  node: Node,
  { bindings, parameters, seen }: Look,
  isFromElsewhere: (source: Extract<Source, { node: Node }>) => boolean,
  counts: (from: string) => boolean = () => true,
): boolean {
  const binding = bindings.of(node);
  if (!binding || node.type !== 'Identifier') return false;
  seen.add(binding);
  return binding.some((source) => {
    if (source.kind === 'import') return counts(source.from);
    return source.kind === 'parameter' ? parameters.includes(node.name) : isFromElsewhere(source);
  });
}

/** Whether what is taken out of something may be from elsewhere. */
function holdsOpen(node: Node, look: Look): boolean {
  return once('part', node, look, () => {
    if (node.type === 'Identifier') return isAnySource(node, look, ({ node: of }) => holdsOpen(of, look));
    if (node.type === 'MemberExpression') return holdsOpen(node.object, look);
    if (isOpen(node, look)) return true;
    return (
      node.type === 'ObjectExpression' &&
      node.properties.some((member) => member.type === 'ObjectProperty' && isOpen(member.value, look))
    );
  });
}

function isOpenObject(members: readonly Node[], look: Look): boolean {
  let open = false;
  for (const member of members) {
    if (member.type === 'SpreadElement') open ||= isOpen(member.argument, look);
    else if ('key' in member && saysIt(member, look)) open = false;
    else if (member.type === 'ObjectProperty' && !member.computed && isNamed(member.key, '__proto__'))
      open ||= isOpen(member.value, look);
    else open ||= hasUnreadableKey(member, look);
  }
  return open;
}

/** Who says it here, or that there is none (`undefined`), is not overridden by what came before. */
const saysIt = (member: Node, { name, constants }: Look) =>
  'key' in member &&
  !('static' in member && member.static) &&
  !(member.type === 'ClassProperty' && !member.value) &&
  isKey(member, name, constants);

function hasUnreadableKey(member: Node, { constants }: Look): boolean {
  if (!('key' in member && 'computed' in member) || !member.computed) return false;
  return isUnreadableKey(member.key, constants);
}

function isOpenClass(
  node: Extract<Node, { type: `Class${'Declaration' | 'Expression'}` }>,
  look: Look,
): boolean {
  const members = node.body.body;
  if (members.some((member) => saysIt(member, look))) return false;
  if (members.some((member) => hasUnreadableKey(member, look))) return true;
  return Boolean(node.superClass) && isForeign(node.superClass as Node, look);
}

function isOpenCall(node: Call, look: Look): boolean {
  const { callee, arguments: given } = node;
  if (callee.type === 'Import' || required(node) !== undefined) return true;
  const name = nameOf(callee);
  if (isJson(callee) && given.some((part) => part.type !== 'StringLiteral')) return true;
  const last = given.at(-1);
  const isSaid = last?.type === 'ObjectExpression' && last.properties.some((member) => saysIt(member, look));
  const isIdentity = IDENTITY.test(name) && ownFunctionsOf(callee, look).length === 0;
  if (!isIdentity && !isSaid && isForeign(callee, look)) return true;
  return given.some((part, index) => isOpen(part, look) && isUsed(index, callee, look));
}

/** A text of JSON is nobody's to read but in quotes. */
const isJson = (callee: Node) => callee.type === 'MemberExpression' && isNamed(callee.object, 'JSON');

/** Whether what is called, or extended, may bring members of its own: what stands in an own file may, a package not. */
function isForeign(node: Node, look: Look): boolean {
  return once('call', node, look, () => {
    const inside = (part: Node) => isForeign(part, look);
    const from = required(node);
    if (from !== undefined) return !isPackage(from);
    switch (node.type) {
      case 'Identifier':
        return isAnySource(
          node,
          look,
          ({ node: of }) => inside(of),
          (one) => !isPackage(one),
        );
      case 'MemberExpression':
      case 'OptionalMemberExpression':
        return inside(node.object);
      case 'CallExpression':
        return nameOf(node.callee) === 'createRequire' || inside(node.callee) || isOpen(node, look);
      case 'FunctionDeclaration':
      case 'FunctionExpression':
      case 'ArrowFunctionExpression':
        return look.bindings.returnsOf(node).some((part) => isOpen(part, look));
      case 'SequenceExpression':
        return node.expressions.slice(-1).some(inside);
      default:
        return isOpen(node, look);
    }
  });
}

/** Functions, or classes, of this file that a name stands for. */
function ownFunctionsOf(callee: Node, look: Look): Node[] {
  if (/Function|^Class/.test(callee.type)) return [callee];
  const values = look.bindings.of(callee)?.flatMap((one) => (one.kind === 'value' ? one.node : [])) ?? [];
  return values.filter(({ type }) => /Function|^Class/.test(type));
}

/** Whether an argument gets into the result: a function of this file may have it for something else. */
function isUsed(index: number, callee: Node, look: Look): boolean {
  const own = ownFunctionsOf(callee, look);
  if (own.length === 0) return true;
  return own.some((one) => {
    if (!('params' in one)) return takesMembers(one);
    const parameter = one.params[index] ?? one.params.at(-1);
    const parameters = [...look.parameters, ...(parameter ? namesIn(parameter) : [])];
    return look.bindings.returnsOf(one).some((part) => isOpen(part, { ...look, parameters }));
  });
}
