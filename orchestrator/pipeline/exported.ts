import type { Node } from '@babel/types';
import { childrenOf, isNamed, namesIn, type Place } from './code-values.ts';

interface Exported {
  readonly name: string;
  /** What it is, or the name that it has in the file. */
  readonly node: Node;
}

/** A class goes by such a name; a constant does not. */
const CLASS = /^[A-Z](?![A-Z\d_]+$)/;

/**
 * What an engine may take for the migration: the default, or what is called so; classes where there is neither.
 * What is only passed through (`export ... from`) is a part of its declaration here.
 */
export function handedOut(places: readonly Place[]): Node[] {
  const exported = places.flatMap(({ node }) => exportsOf(node));
  return chosenOf(exported);
}

function chosenOf(exported: readonly Exported[]): Node[] {
  const migrations = exported.filter(({ name }) => name === 'default' || name === 'migration');
  const chosen = migrations.length > 0 ? migrations : exported.filter(({ name }) => CLASS.test(name));
  return chosen.map(({ node }) => node);
}

/** The same for an object that is the default, whose members may be what is meant. */
export function membersHandedOut(node: Node): Node[] {
  if (node.type !== 'ObjectExpression') return [];
  const members = node.properties.flatMap((member): Exported[] => {
    if (member.type !== 'ObjectProperty' || member.computed) return [];
    return member.key.type === 'Identifier' ? [{ name: member.key.name, node: member.value }] : [];
  });
  const isItself = node.properties.some(
    (member) => 'key' in member && (isNamed(member.key, 'up') || isNamed(member.key, 'id')),
  );
  return isItself ? [] : chosenOf(members);
}

function exportsOf(node: Node): Exported[] {
  switch (node.type) {
    case 'ExportDefaultDeclaration':
      return [{ name: 'default', node: node.declaration }];
    case 'TSExportAssignment':
      return [{ name: 'default', node: node.expression }];
    case 'ExportNamedDeclaration': {
      const { declaration, specifiers, source } = node;
      if (node.exportKind === 'type') return [];
      const renamed = specifiers.flatMap((one): Exported[] => {
        const { exported } = one;
        const name = exported.type === 'Identifier' ? exported.name : exported.value;
        if (one.type !== 'ExportSpecifier' || source) return [{ name, node: one }];
        return one.exportKind === 'type' ? [] : [{ name, node: one.local }];
      });
      if (declaration?.type === 'ClassDeclaration' && declaration.id)
        return [{ name: declaration.id.name, node: declaration }];
      if (declaration?.type !== 'VariableDeclaration') return renamed;
      return declaration.declarations.flatMap(({ id }) => identifiersIn(id));
    }
    case 'AssignmentExpression': {
      const { left, right } = node;
      if (left.type !== 'MemberExpression' || !isExports(left)) return [];
      const { property } = left;
      const name =
        property.type === 'Identifier'
          ? property.name
          : property.type === 'StringLiteral'
            ? property.value
            : '';
      return [{ name: name === 'exports' ? 'default' : name, node: right }];
    }
    default:
      return [];
  }
}

function identifiersIn(pattern: Node): Exported[] {
  const names = new Set(namesIn(pattern));
  const visit = (node: Node): Exported[] =>
    node.type === 'Identifier'
      ? names.has(node.name)
        ? [{ name: node.name, node }]
        : []
      : childrenOf(node).flatMap(({ child }) => visit(child));
  return visit(pattern);
}

/** `exports`, `module.exports`, and members of them. */
export const isExports = (node: Node): boolean =>
  isNamed(node, 'exports') ||
  (node.type === 'MemberExpression' && (isNamed(node.property, 'exports') || isExports(node.object)));
