import type { DeleteStmt, MergeStmt, Node, TruncateStmt, UpdateStmt } from 'libpg-query';
import { findAll } from './nodes.ts';
import type { Review } from './review.ts';

/** Rows that a statement takes away or writes over, wherever in it that stands. */
export function reviewWrites(review: Review, statement: Node, line: number): void {
  for (const found of findAll(statement, ['DeleteStmt', 'UpdateStmt', 'MergeStmt', 'TruncateStmt'])) {
    if (found.kind === 'TruncateStmt') reviewTruncate(review, found.node as TruncateStmt, line);
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

function reportDelete(review: Review, table: string, line: number): void {
  review.reportLoss('delete-without-where', line, table, `deletes every row of ${table}`);
}

function reportUpdate(review: Review, table: string, targets: readonly Node[] = [], line: number): void {
  const columns = targets.flatMap((one) => ('ResTarget' in one ? [one.ResTarget.name ?? ''] : []));
  const what = `writes ${columns.join(', ')} of every row of ${table}`;
  // What this migration has added holds nothing to lose.
  if (columns.every((name) => review.isNewColumn(table, name)))
    review.reportWork('update-without-where', line, table, what);
  else review.reportLoss('update-without-where', line, table, what);
}

/** A MERGE is bound to its join as others are to their WHERE. */
function reviewMerge(
  review: Review,
  { relation, joinCondition, mergeWhenClauses }: MergeStmt,
  line: number,
): void {
  if (!meansEveryRow(joinCondition)) return;
  for (const node of mergeWhenClauses ?? []) {
    if (!('MergeWhenClause' in node)) continue;
    const { commandType, condition, targetList } = node.MergeWhenClause;
    if (!meansEveryRow(condition)) continue;
    if (commandType === 'CMD_DELETE') reportDelete(review, review.keyOf(relation), line);
    if (commandType === 'CMD_UPDATE') reportUpdate(review, review.keyOf(relation), targetList, line);
  }
}

/** True without a condition, and for one that looks at no row: `true`, `1 = 1`. */
function meansEveryRow(condition: Node | undefined): boolean {
  return findAll(condition, ['ColumnRef', 'SubLink', 'FuncCall', 'CurrentOfExpr', 'ParamRef']).length === 0;
}

function reviewTruncate(review: Review, { relations, behavior }: TruncateStmt, line: number): void {
  for (const one of relations ?? []) {
    if (!('RangeVar' in one)) continue;
    const table = review.keyOf(one.RangeVar);
    if (behavior !== 'DROP_CASCADE') review.reportLoss('truncate', line, table, `empties ${table}`);
    // However few rows it has itself.
    else if (review.isOld(table) || review.isReferred(table))
      review.report('truncate', line, `empties ${table} and every table that refers to it`, {
        table,
        destructive: true,
      });
  }
}
