import type {
  DeleteStmt,
  FuncCall,
  InsertStmt,
  MergeStmt,
  Node,
  TruncateStmt,
  UpdateStmt,
} from 'libpg-query';
import { meansEveryRow } from './conditions.ts';
import { findAll, namesOf } from './nodes.ts';
import type { Review } from './review.ts';

type Variables = ReadonlySet<string> | undefined;

/**
 * Rows that a statement takes away or writes over, wherever in it that stands.
 *
 * @param variables of the body that it stands in
 */
export function reviewWrites(review: Review, statement: Node, line: number, variables?: Variables): void {
  reviewLargeObjects(review, statement, line);
  for (const found of findAll(statement, [
    ...(['DeleteStmt', 'UpdateStmt', 'MergeStmt', 'TruncateStmt', 'InsertStmt'] as const),
  ])) {
    if (found.kind === 'TruncateStmt') reviewTruncate(review, found.node as TruncateStmt, line);
    else if (found.kind === 'InsertStmt') reviewInsert(review, found.node as InsertStmt, line, variables);
    else if (found.kind === 'MergeStmt') reviewMerge(review, found.node as MergeStmt, line, variables);
    else {
      const write = found.node as DeleteStmt & UpdateStmt;
      const others = [...(write.usingClause ?? []), ...(write.fromClause ?? [])];
      if (!meansEveryRow(review, write.whereClause, { relation: write.relation, others, variables }))
        continue;
      const table = review.keyOf(write.relation);
      const which = write.whereClause ? 'or none, by a WHERE that asks for no column of it' : '';
      if (found.kind === 'DeleteStmt') reportDelete(review, table, line, which);
      else reportUpdate(review, table, write.targetList, line, which);
    }
  }
}

/** Large objects are no rows of a table that anybody names; those that no WHERE binds may be all of them. */
function reviewLargeObjects(review: Review, statement: Node, line: number): void {
  const isAboutMany = (tree: unknown) => findAll(tree, ['ColumnRef']).length > 0;
  for (const { node } of findAll(statement, ['FuncCall'])) {
    const { funcname, args } = node as FuncCall;
    const name = namesOf(funcname).at(-1) ?? '';
    const rule = largeObjects.get(name);
    if (!rule || !isAboutMany(args) || isAboutMany(findAll(statement, ['whereClause']))) continue;
    const what = rule === 'delete-without-where' ? 'empties' : 'writes over';
    review.report(rule, line, `${what} every large object that it finds (${name})`, { destructive: true });
  }
}

const largeObjects = new Map<string, 'delete-without-where' | 'update-without-where'>([
  ...(['lo_unlink', 'lo_truncate', 'lo_truncate64'] as const).map(
    (name) => [name, 'delete-without-where'] as const,
  ),
  ...(['lo_put', 'lowrite'] as const).map((name) => [name, 'update-without-where'] as const),
]);

/** What is read from a table may have the key of any row; what reads none names the rows that it writes over. */
function reviewInsert(
  review: Review,
  { relation, selectStmt, onConflictClause: conflict }: InsertStmt,
  line: number,
  variables: Variables,
): void {
  if (conflict?.action !== 'ONCONFLICT_UPDATE') return;
  if (!meansEveryRow(review, conflict.whereClause, { relation, variables })) return;
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
  { relation, sourceRelation, joinCondition, mergeWhenClauses }: MergeStmt,
  line: number,
  variables: Variables,
): void {
  const target = { relation, others: sourceRelation ? [sourceRelation] : [], variables };
  const isUnbound = meansEveryRow(review, joinCondition, target);
  for (const node of mergeWhenClauses ?? []) {
    if (!('MergeWhenClause' in node)) continue;
    const { matchKind, commandType, condition, targetList } = node.MergeWhenClause;
    const isOfOthers = matchKind === 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE';
    if (!(isUnbound || isOfOthers) || !meansEveryRow(review, condition, target)) continue;
    const which = isOfOthers ? 'that the source has not' : '';
    const table = review.keyOf(relation);
    if (commandType === 'CMD_DELETE') reportDelete(review, table, line, which);
    if (commandType === 'CMD_UPDATE') reportUpdate(review, table, targetList, line, which);
  }
}

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
