import type { Node, RangeVar } from 'libpg-query';
import { findAll, namesOf } from './nodes.ts';
import type { Review } from './review.ts';

/** The table that a statement writes to, and what else its conditions may speak of. */
export interface Target {
  readonly relation: RangeVar | undefined;
  /** USING, FROM: rows of others. */
  readonly others?: readonly Node[] | undefined;
  /** Variables of the body that the statement stands in. */
  readonly variables?: ReadonlySet<string> | undefined;
}

/**
 * True without a condition, and for one that looks at no row of the target, so that it is true of all of them or none:
 * `now() > ...`, `other.id = 1`.
 */
export function meansEveryRow(review: Review, condition: Node | undefined, target: Target): boolean {
  if (condition && 'BoolExpr' in condition && condition.BoolExpr.boolop !== 'NOT_EXPR') {
    const { boolop, args = [] } = condition.BoolExpr;
    return boolop === 'AND_EXPR'
      ? args.every((one) => meansEveryRow(review, one, target))
      : args.some((one) => meansEveryRow(review, one, target) && !isFalse(one));
  }
  if (findAll(condition, ['CurrentOfExpr']).length > 0) return false;
  return !columnsIn(condition).some((column) => isOfTarget(review, column, target));
}

const isFalse = (node: Node) =>
  'A_Const' in node && node.A_Const.boolval !== undefined && node.A_Const.boolval.boolval !== true;

/** A name in a condition, with the relations of the subqueries around it, from within. */
interface Column {
  readonly fields: readonly Node[];
  readonly scopes: readonly (readonly Source[])[];
}

function columnsIn(condition: Node | undefined): Column[] {
  const found: Column[] = [];
  const left: { tree: unknown; scopes: Column['scopes'] }[] = [{ tree: condition, scopes: [] }];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { tree, scopes } = next;
    if (typeof tree !== 'object' || tree === null) continue;
    const { ColumnRef: column, fromClause } = tree as {
      ColumnRef?: { fields?: Node[] };
      fromClause?: Node[];
    };
    if (column) found.push({ fields: column.fields ?? [], scopes });
    const within = fromClause ? [sourcesOf(fromClause), ...scopes] : scopes;
    for (const value of Object.values(tree)) left.push({ tree: value, scopes: within });
  }
  return found;
}

/** Something that rows come from, by the name that it has in a statement; without a relation nobody knows its columns. */
interface Source {
  readonly name: string;
  readonly relation?: RangeVar;
}

function sourcesOf(nodes: readonly Node[]): Source[] {
  return nodes.flatMap((node): Source[] => {
    if ('RangeVar' in node) {
      const { alias, relname = '' } = node.RangeVar;
      return [{ name: alias?.aliasname ?? relname, relation: node.RangeVar }];
    }
    const [own] = Object.values(node) as [{ alias?: { aliasname?: string }; larg?: Node; rarg?: Node }];
    const joined =
      'JoinExpr' in node ? [own.larg, own.rarg].filter((one) => one !== undefined) : ([] as Node[]);
    const name = own.alias?.aliasname;
    return [...(name === undefined && joined.length > 0 ? [] : [{ name: name ?? '' }]), ...sourcesOf(joined)];
  });
}

/** Whether a name stands for a column of the target, or its whole row. What may be one counts as one. */
function isOfTarget(review: Review, { fields, scopes }: Column, target: Target): boolean {
  const names = namesOf(fields);
  const isWholeRow = fields.length > names.length;
  const [last, qualifier] = isWholeRow ? [undefined, names.at(-1)] : [names.at(-1), names.at(-2)];
  const others = sourcesOf(target.others ?? []);
  const own = target.relation?.alias?.aliasname ?? target.relation?.relname ?? '';
  const isShadowed = (name: string) => scopes.some((scope) => scope.some((one) => one.name === name));
  // ON CONFLICT has the row that was to be inserted by this name, and it is the one that is there, by its key.
  if (qualifier !== undefined) return [own, 'excluded'].includes(qualifier) && !isShadowed(qualifier);
  if (last === undefined) return false;
  if (last === own) return !isShadowed(own);
  const table = review.keyOf(target.relation);
  const isColumnOf = ({ relation }: Source) =>
    relation !== undefined && isColumn(review, review.keyOf(relation), last);
  if (scopes.some((scope) => scope.some(isColumnOf))) return false;
  if (isColumn(review, table, last)) return true;
  const rest = [...scopes.flat(), ...others];
  if (rest.some((one) => one.name === last || isColumnOf(one)) || target.variables?.has(last)) return false;
  // With nothing else that it could be of, the model is what is wrong.
  return rest.length === 0 || !review.schema.lacksColumn(table, last);
}

const isColumn = (review: Review, table: string, name: string) =>
  review.schema.column(table, name) !== undefined || ofSystem.has(name);

/** Columns that every table has. */
const ofSystem = new Set(['ctid', 'tableoid', 'xmin', 'xmax', 'cmin', 'cmax']);
