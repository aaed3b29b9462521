import type { Constraint, Node, RangeVar, TypeName } from 'libpg-query';
import { tableKey } from '../finding.ts';
import type { ColumnType } from './types.ts';

/* Short readings of PostgreSQL's syntax tree. */

/** The text of a String node. */
export function textOf(node: Node | undefined): string | undefined {
  return node && 'String' in node ? (node.String.sval ?? '') : undefined;
}

/** Names as they stand in a list: `schema.name`. */
export function namesOf(nodes: readonly Node[] | undefined): string[] {
  return (nodes ?? []).flatMap((node) => textOf(node) ?? []);
}

export function keyOfNames(names: readonly string[]): string {
  const [table = '', schema] = names.toReversed();
  return tableKey(schema, table);
}

export function keyOf(relation: RangeVar | undefined): string {
  return tableKey(relation?.schemaname, relation?.relname ?? '');
}

export function typeOf(type: TypeName | undefined): ColumnType {
  const names = namesOf(type?.names).filter((name) => name !== 'pg_catalog');
  const modifiers = (type?.typmods ?? []).flatMap((node) =>
    'A_Const' in node && node.A_Const.ival ? [node.A_Const.ival.ival ?? 0] : [],
  );
  return { name: keyOfNames(names), modifiers, dimensions: type?.arrayBounds?.length ?? 0 };
}

/** The column that an expression is, and nothing more. */
export function columnOf(expression: Node | undefined): string | undefined {
  return expression && 'ColumnRef' in expression ? namesOf(expression.ColumnRef.fields).at(-1) : undefined;
}

/** The constraints that stand with a column. */
export function constraintsOf(nodes: readonly Node[] | undefined): Constraint[] {
  return (nodes ?? []).flatMap((node) => ('Constraint' in node ? [node.Constraint] : []));
}

/** Every statement or expression of these kinds in a tree, however deep. */
export function findAll<K extends string>(tree: unknown, kinds: readonly K[]): { kind: K; node: unknown }[] {
  if (Array.isArray(tree)) return tree.flatMap((one) => findAll(one, kinds));
  if (typeof tree !== 'object' || tree === null) return [];
  return Object.entries(tree).flatMap(([key, value]) => [
    ...kinds.filter((kind) => kind === key).map((kind) => ({ kind, node: value as unknown })),
    ...findAll(value, kinds),
  ]);
}
