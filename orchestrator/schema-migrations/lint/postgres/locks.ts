import type { LockStmt, Node, ReindexStmt, VacuumStmt } from 'libpg-query';
import { reviewConcurrently } from './alter-table.ts';
import { textOf } from './nodes.ts';
import type { Review } from './review.ts';

/** SHARE and what is stronger, as the grammar counts: others may not write to the table. */
const weakestThatStopsWriters = 5;

/** Statements that change no row, and keep others from the table while they work. */
export function reviewLocks(review: Review, node: Node, line: number): void {
  if ('ReindexStmt' in node) reviewReindex(review, node.ReindexStmt, line);
  else if ('VacuumStmt' in node) reviewVacuum(review, node.VacuumStmt, line);
  else if ('LockStmt' in node) reviewLock(review, node.LockStmt, line);
  else if ('AlterTableMoveAllStmt' in node) {
    const { orig_tablespacename: from = '', objtype } = node.AlterTableMoveAllStmt;
    const what = objtype === 'OBJECT_INDEX' ? 'index' : objtype === 'OBJECT_MATVIEW' ? 'view' : 'table';
    review.report('rewrite-table', line, `writes every ${what} of the tablespace ${from} anew`);
  } else if ('ClusterStmt' in node) {
    const { relation } = node.ClusterStmt;
    reportRewrite(review, relation && review.keyOf(relation), line);
  } else if ('RefreshMatViewStmt' in node && node.RefreshMatViewStmt.concurrent !== true) {
    const view = review.keyOf(node.RefreshMatViewStmt.relation);
    review.lock(view, line);
    review.reportWork('locks-table', line, view, `fills the view ${view} anew`);
  }
}

function reviewReindex(review: Review, { params, kind, relation, name }: ReindexStmt, line: number): void {
  if (isOn(params, 'concurrently')) {
    reviewConcurrently(review, line, 'REINDEX');
    return;
  }
  const table = review.keyOf(relation);
  if (kind === 'REINDEX_OBJECT_TABLE') {
    review.lock(table, line);
    review.reportWork('index-not-concurrently', line, table, `builds the indexes of ${table} anew`);
  } else
    review.report(
      'index-not-concurrently',
      line,
      kind === 'REINDEX_OBJECT_INDEX'
        ? `builds ${table} anew`
        : `builds every index of ${name ?? 'the database'} anew`,
    );
}

function reviewVacuum(
  review: Review,
  { is_vacuumcmd: isVacuum, options, rels }: VacuumStmt,
  line: number,
): void {
  if (isVacuum !== true || !isOn(options, 'full')) return;
  if (!rels) reportRewrite(review, undefined, line);
  for (const one of rels ?? [])
    if ('VacuumRelation' in one) reportRewrite(review, review.keyOf(one.VacuumRelation.relation), line);
}

function reportRewrite(review: Review, table: string | undefined, line: number): void {
  if (table === undefined) review.report('rewrite-table', line, 'writes every table anew');
  else {
    review.lock(table, line);
    review.reportWork('rewrite-table', line, table, `writes ${table} anew`);
  }
}

function reviewLock(review: Review, { relations, mode = 0 }: LockStmt, line: number): void {
  if (mode < weakestThatStopsWriters) return;
  for (const one of relations ?? []) {
    if (!('RangeVar' in one)) continue;
    const table = review.keyOf(one.RangeVar);
    review.lock(table, line);
    review.reportWork('locks-table', line, table, `locks ${table}`);
  }
}

/** Whether an option is there, and not with a word that takes it back. */
function isOn(options: readonly Node[] | undefined, name: string): boolean {
  return (options ?? []).some(
    (one) =>
      'DefElem' in one &&
      one.DefElem.defname === name &&
      !/^(?:false|off|0)$/i.test(textOf(one.DefElem.arg) ?? ''),
  );
}
