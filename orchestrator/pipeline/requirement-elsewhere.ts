import type { Node } from '@babel/types';
import { bindingsIn } from './code-bindings.ts';
import { isPuttingIn, isUnreadableKey } from './code-calls.ts';
import { childrenOf, isKey, isNamed, readValue, type Constants, type Place } from './code-values.ts';
import { handedOut, isExports, membersHandedOut } from './exported.ts';
import { isOpen, type Look } from './from-elsewhere.ts';

/**
 * The first place of a file that may say something under this name in a way that its text does not show: taken from
 * another file, put together while it runs, or taken out of something else.
 *
 * @param places of the whole file, which is the first of them
 * @param constants of the file
 */
export function findElsewhere(
  places: readonly Place[],
  name: string,
  constants: Constants,
): Node | undefined {
  const [file] = places;
  if (!file) return undefined;
  const bindings = bindingsIn(file.node);
  const look: Look = { name, bindings, constants, seen: new Set(), parameters: [], known: new Map() };
  // First of all, since it tells what the migration is made of.
  const handedOn = handedOut(places).find((node) => isHandedOn(node, look));
  const odd = places.find(
    ({ node, parent, role }) =>
      isFromAnotherFile(node, name) ||
      isTakenApart(node, name) ||
      isOddText(node, parent, role, name) ||
      isPutIn(node, look),
  );
  return odd?.node ?? handedOn;
}

function isHandedOn(node: Node, look: Look): boolean {
  if (isOpen(node, look)) return true;
  const values = look.bindings.of(node)?.flatMap((source) => (source.kind === 'value' ? source.node : []));
  return (values ?? [node]).flatMap(membersHandedOut).some((member) => isOpen(member, look));
}

/** `Object.assign(migration, other)`, `migration[key()] = 'x'`, `__exportStar(require('./b'), exports)`. */
function isPutIn(node: Node, look: Look): boolean {
  const { bindings, constants, seen } = look;
  const isIt = (part: Node) => {
    const binding = bindings.of(part);
    return binding ? seen.has(binding) : part.type === 'ThisExpression' || isExports(part);
  };
  if (node.type === 'AssignmentExpression' && node.left.type === 'MemberExpression') {
    const { object, property, computed } = node.left;
    if (!isIt(object)) return false;
    // A class keeps what it likes by such keys while it works.
    const isOwn = object.type === 'ThisExpression' && !isOpen(node.right, look);
    if (computed && !isOwn && isUnreadableKey(property, constants)) return true;
    return isKey({ key: property, computed }, '__proto__', constants) && isOpen(node.right, look);
  }
  if (!isPuttingIn(node, isIt)) return false;
  const [target, key] = node.arguments;
  if (
    isNamed(node.callee.type === 'MemberExpression' ? node.callee.property : node.callee, 'defineProperty')
  ) {
    const said = key && readValue(key, constants);
    if (said === 'unreadable') return true;
    // A getter, mostly, which tells nothing before it is asked.
    return target !== undefined && isExports(target) && /^(?:default|migration)$/.test(said?.text ?? '');
  }
  return node.arguments.some((part) => !isIt(part) && isOpen(part, look));
}

/** `export * from`, and `export { migration } from`. */
function isFromAnotherFile(node: Node, name: string): boolean {
  if (node.type === 'ExportAllDeclaration') return node.exportKind !== 'type';
  if (node.type !== 'ExportNamedDeclaration' || !node.source) return false;
  return node.specifiers.some(
    ({ exported }) =>
      isNamed(exported, name) || isNamed(exported, 'default') || isNamed(exported, 'migration'),
  );
}

/** `export const { name } = make()`, `({ a: migration.name } = other)`. */
function isTakenApart(node: Node, name: string): boolean {
  if (node.type === 'AssignmentExpression')
    return node.left.type.endsWith('Pattern') && mentions(node.left, name);
  if (node.type !== 'ExportNamedDeclaration' || node.declaration?.type !== 'VariableDeclaration')
    return false;
  return node.declaration.declarations.some(({ id }) => id.type.endsWith('Pattern') && mentions(id, name));
}

const mentions = (node: Node, name: string): boolean =>
  isNamed(node, name) || childrenOf(node).some(({ child }) => mentions(child, name));

/** The name as a text that is neither a key nor looked up: `defineProperty(m, 'name', ...)`, a key in JSON. */
function isOddText(node: Node, parent: Node | undefined, role: string, name: string): boolean {
  const text =
    node.type === 'StringLiteral'
      ? node.value
      : node.type === 'TemplateElement'
        ? (node.value.cooked ?? '')
        : undefined;
  if (text?.includes(`"${name}"`) === true) return true;
  const isHarmless =
    role === 'key' || role === 'property' || role === 'quasis' || parent?.type === 'BinaryExpression';
  return text === name && !isHarmless;
}
