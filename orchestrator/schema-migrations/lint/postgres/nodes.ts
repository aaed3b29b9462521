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

/**
 * Every statement or expression of these kinds in a tree, in the order of the text, however deep: a chain of a thousand ||
 * is a thousand levels.
 */
export function findAll<K extends string>(tree: unknown, kinds: readonly K[]): { kind: K; node: unknown }[] {
  const found: { kind: K; node: unknown }[] = [];
  const left: (readonly [key: string, value: unknown])[] = [['', tree]];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const [key, node] = next;
    const kind = kinds.find((one) => one === key);
    if (kind !== undefined) found.push({ kind, node });
    if (typeof node === 'object' && node !== null)
      for (const entry of Object.entries(node).toReversed()) left.push(entry);
  }
  return found;
}
