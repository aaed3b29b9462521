import type { DeleteStmt, InsertStmt, MergeStmt, Node, TruncateStmt, UpdateStmt } from 'libpg-query';
import { findAll, namesOf } from './nodes.ts';
import type { Review } from './review.ts';

/** Rows that a statement takes away or writes over, wherever in it that stands. */
export function reviewWrites(review: Review, statement: Node, line: number): void {
  for (const found of findAll(statement, [
    ...(['DeleteStmt', 'UpdateStmt', 'MergeStmt', 'TruncateStmt', 'InsertStmt'] as const),
  ])) {
    if (found.kind === 'TruncateStmt') reviewTruncate(review, found.node as TruncateStmt, line);
    else if (found.kind === 'InsertStmt') reviewInsert(review, found.node as InsertStmt, line);
    else if (found.kind === 'MergeStmt') reviewMerge(review, found.node as MergeStmt, line);
    else {
      const write = found.node as DeleteStmt & UpdateStmt;
      if (!meansEveryRow(write.whereClause)) continue;
      const table = review.keyOf(write.relation);
      if (found.kind === 'DeleteStmt') reportDelete(review, table, line);
      else reportUpdate(review, table, write.targetList, line);
    }
  }
}

/** What is read from a table may have the key of any row; what reads none names the rows that it writes over. */
function reviewInsert(
  review: Review,
  { relation, selectStmt, onConflictClause: conflict }: InsertStmt,
  line: number,
): void {
  if (conflict?.action !== 'ONCONFLICT_UPDATE' || !meansEveryRow(conflict.whereClause)) return;
  if (findAll(selectStmt, ['RangeVar', 'RangeFunction']).length === 0) return;
  reportUpdate(review, review.keyOf(relation), conflict.targetList, line, 'that is inserted again');
}

function reportDelete(review: Review, table: string, line: number, which = ''): void {
  const rows = `every row of ${table}${which === '' ? '' : ` ${which}`}`;
  review.reportLoss('delete-without-where', line, table, `deletes ${rows}`);
}

function reportUpdate(
  review: Review,
  table: string,
  targets: readonly Node[] = [],
  line: number,
  which = '',
): void {
  const columns = targets.flatMap((one) => ('ResTarget' in one ? [one.ResTarget.name ?? ''] : []));
  const what = `writes ${columns.join(', ')} of every row of ${table}${which === '' ? '' : ` ${which}`}`;
  // What this migration has added holds nothing to lose.
  if (columns.every((name) => review.isNewColumn(table, name)))
    review.reportWork('update-without-where', line, table, what);
  else review.reportLoss('update-without-where', line, table, what);
}

/** A MERGE is bound to its join as others are to their WHERE, but for the rows that the join does not find. */
function reviewMerge(
  review: Review,
  { relation, joinCondition, mergeWhenClauses }: MergeStmt,
  line: number,
): void {
  const isUnbound = meansEveryRow(joinCondition);
  for (const node of mergeWhenClauses ?? []) {
    if (!('MergeWhenClause' in node)) continue;
    const { matchKind, commandType, condition, targetList } = node.MergeWhenClause;
    const isOfOthers = matchKind === 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE';
    if (!(isUnbound || isOfOthers) || !meansEveryRow(condition)) continue;
    const which = isOfOthers ? 'that the source has not' : '';
    const table = review.keyOf(relation);
    if (commandType === 'CMD_DELETE') reportDelete(review, table, line, which);
    if (commandType === 'CMD_UPDATE') reportUpdate(review, table, targetList, line, which);
  }
}

/** True without a condition, and for one that looks at no row, so that it is true of all of them or none: `now() > ...`. */
function meansEveryRow(condition: Node | undefined): boolean {
  if (condition && 'BoolExpr' in condition && condition.BoolExpr.boolop !== 'NOT_EXPR') {
    const { boolop, args = [] } = condition.BoolExpr;
    return boolop === 'AND_EXPR'
      ? args.every(meansEveryRow)
      : args.some((one) => meansEveryRow(one) && !isFalse(one));
  }
  return !findAll(condition, ['ColumnRef', 'CurrentOfExpr']).some(
    ({ kind, node }) => kind === 'CurrentOfExpr' || namesOf((node as { fields?: Node[] }).fields).length > 0,
  );
}

const isFalse = (node: Node) =>
  'A_Const' in node && node.A_Const.boolval !== undefined && node.A_Const.boolval.boolval !== true;

function reviewTruncate(review: Review, { relations, behavior }: TruncateStmt, line: number): void {
  for (const one of relations ?? []) {
    if (!('RangeVar' in one)) continue;
    const table = review.keyOf(one.RangeVar);
    if (behavior !== 'DROP_CASCADE') review.reportLoss('truncate', line, table, `empties ${table}`);
    // However few rows it has itself.
    else if (review.isOld(table) || review.constraints.isReferred(table))
      review.report('truncate', line, `empties ${table} and every table that refers to it`, {
        table,
        destructive: true,
      });
  }
}
