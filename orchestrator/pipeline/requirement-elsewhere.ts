import type { Node } from '@babel/types';
import { childrenOf, isNamed, readValue, type Constants, type Place } from './code-values.ts';

/**
 * The first place of a file that may say something under this name in a way that its text does not show: taken from
 * another file, put together while it runs, or taken out of something else.
 *
 * @param constants of the file
 */
export function findElsewhere(
  places: readonly Place[],
  name: string,
  constants: Constants,
): Node | undefined {
  const imported = new Set(
    places.flatMap(({ node, parent }) =>
      parent?.type === 'ImportDeclaration' && 'local' in node && node.local?.type === 'Identifier'
        ? [node.local.name]
        : [],
    ),
  );
  return places.find(
    ({ node, parent, role }) =>
      isFromAnotherFile(node, name) ||
      isTakenApart(node, name) ||
      isOddText(node, parent, role, name) ||
      (isMigration(node, parent, role) && isOpen(node, constants, imported)),
  )?.node;
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

/** What the file hands out: its default export, or the one that is called migration. */
function isMigration(node: Node, parent: Node | undefined, role: string): boolean {
  if (parent?.type === 'ExportDefaultDeclaration') return role === 'declaration';
  if (parent?.type === 'ExportSpecifier' && role === 'local')
    return isNamed(parent.exported, 'default') || isNamed(parent.exported, 'migration');
  if (parent?.type === 'VariableDeclarator') return role === 'init' && isNamed(parent.id, 'migration');
  if (parent?.type !== 'AssignmentExpression' || role !== 'right') return false;
  const { left } = parent;
  return left.type === 'MemberExpression' && mentions(left, 'exports');
}

/** Whether an object has members that stand in another file, or keys that nobody can read. */
function isOpen(node: Node, constants: Constants, imported: ReadonlySet<string>, depth = 0): boolean {
  const inside = (part: Node) => depth < 10 && isOpen(part, constants, imported, depth + 1);
  switch (node.type) {
    case 'TSAsExpression':
    case 'TSSatisfiesExpression':
    case 'TSNonNullExpression':
    case 'TSTypeAssertion':
      return inside(node.expression);
    case 'Identifier': {
      const value = constants.get(node.name);
      return imported.has(node.name) || (value !== undefined && inside(value));
    }
    case 'CallExpression':
      return node.arguments.some((part) => part.type === 'ObjectExpression' && inside(part));
    case 'ObjectExpression':
      return node.properties.some((part) => {
        if (part.type === 'SpreadElement')
          return !isOwnObject(part.argument, constants) || inside(part.argument);
        return part.computed && readValue(part.key, constants) === 'unreadable';
      });
    default:
      return false;
  }
}

function isOwnObject(node: Node, constants: Constants): boolean {
  const value = node.type === 'Identifier' ? constants.get(node.name) : node;
  return value?.type === 'ObjectExpression';
}
