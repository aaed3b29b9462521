import type { CreateStmt, Node, VariableSetStmt } from 'libpg-query';
import { reviewAlterTable, reviewConcurrently } from './alter-table.ts';
import { reviewCompositeType } from './composite-types.ts';
import { createDomain, reviewDomain } from './domains.ts';
import { reviewLocks } from './locks.ts';
import { drop, rename } from './drops-and-renames.ts';
import { constantOf, meansNone } from './constants.ts';
import { keyOfNames, namesOf, textOf, typeOf } from './nodes.ts';
import type { Statement } from './parse.ts';
import { reviewCalls, reviewDo } from './procedures.ts';
import type { Review } from './review.ts';
import { reviewOutside, reviewServerWide } from './server-wide.ts';
import { storedType } from './types.ts';
import { reviewWrites } from './writes.ts';

/** Looks at one statement, and lets the schema be what it makes of it. */
export function reviewStatement(review: Review, statement: Statement): void {
  const { node, line, text, partLines } = statement;
  if ('AlterTableStmt' in node) {
    if (node.AlterTableStmt.objtype === 'OBJECT_TYPE') reviewCompositeType(review, node.AlterTableStmt, line);
    else reviewAlterTable(review, node.AlterTableStmt, partLines);
  } else if ('CreateStmt' in node) createTable(review, node.CreateStmt);
  else if ('CreateTableAsStmt' in node) {
    const { into, if_not_exists: ifMissing } = node.CreateTableAsStmt;
    if (ifMissing !== true || !review.isThere(review.keyOf(into?.rel))) review.create(into?.rel);
  } else if ('SelectStmt' in node && node.SelectStmt.intoClause)
    review.create(node.SelectStmt.intoClause.rel);
  else if ('CompositeTypeStmt' in node) review.createType(review.keyOf(node.CompositeTypeStmt.typevar));
  else if ('CreateDomainStmt' in node) createDomain(review, node.CreateDomainStmt);
  else if ('AlterDomainStmt' in node) reviewDomain(review, node.AlterDomainStmt, line);
  else if ('CreateEnumStmt' in node)
    review.createEnum(keyOfNames(namesOf(node.CreateEnumStmt.typeName)), namesOf(node.CreateEnumStmt.vals));
  else if ('DropStmt' in node) drop(review, node.DropStmt, line);
  else if ('DropOwnedStmt' in node)
    review.report('drop-table', line, `drops everything that a role owns, with its rows`, {
      destructive: true,
    });
  else if ('RenameStmt' in node) rename(review, node.RenameStmt, line);
  else if ('AlterObjectSchemaStmt' in node) {
    const { relation, newschema = '', objectType } = node.AlterObjectSchemaStmt;
    const table = review.keyOf(relation);
    if (objectType === 'OBJECT_TABLE') {
      if (review.isOld(table))
        review.report('rename-table', line, `moves the table ${table} to the schema ${newschema}`, { table });
      review.rename(table, keyOfNames([newschema, relation?.relname ?? '']));
    }
  } else if ('AlterEnumStmt' in node) {
    const { typeName, oldVal, newVal = '' } = node.AlterEnumStmt;
    const type = keyOfNames(namesOf(typeName));
    if (oldVal !== undefined)
      review.report('rename-enum-value', line, `renames the value ${oldVal} of ${type} to ${newVal}`);
    const values = review.schema.enumValues(type) ?? [];
    review.schema.setEnum(type, [...values.filter((value) => value !== oldVal), newVal]);
  } else if ('IndexStmt' in node) {
    const { relation, concurrent, unique, idxname = 'an index' } = node.IndexStmt;
    const table = review.keyOf(relation);
    if (concurrent) reviewConcurrently(review, line, 'CREATE INDEX');
    else review.lock(table, line);
    if (unique)
      review.reportRisk(
        'add-unique',
        line,
        table,
        `the unique index ${idxname} refuses values that are there twice in ${table}`,
        concurrent !== true,
      );
    if (!concurrent)
      review.reportWork('index-not-concurrently', line, table, `builds ${idxname} on ${table}`);
  } else if ('TransactionStmt' in node) {
    const word = (node.TransactionStmt.kind ?? '').replace('TRANS_STMT_', '').replaceAll('_', ' ');
    // Once: the COMMIT goes with its BEGIN.
    if (!review.remarks.some(({ rule }) => rule === 'explicit-transaction'))
      review.report('explicit-transaction', line, `says ${word} by itself`);
  } else if ('VariableSetStmt' in node) setVariable(review, node.VariableSetStmt);
  else if ('CreateFunctionStmt' in node) {
    review.define({ statement: node.CreateFunctionStmt, text });
    return;
  } else if ('DoStmt' in node) reviewDo(review, node.DoStmt, line, reviewStatement);
  // What a rule does, it does when somebody writes.
  if ('RuleStmt' in node) return;
  reviewLocks(review, node, line);
  reviewServerWide(review, node, line);
  reviewOutside(review, node, line);
  reviewWrites(review, node, line, statement.variables);
  reviewCalls(review, runsNow(node), line, reviewStatement);
}

/** Without what is called when somebody reads or writes: defaults of rows to come, views, triggers. */
function runsNow(node: Node): unknown {
  if (callsLater.some((kind) => kind in node)) return undefined;
  if ('AlterDomainStmt' in node && node.AlterDomainStmt.subtype === 'T') return undefined;
  if (!('AlterTableStmt' in node)) return node;
  return node.AlterTableStmt.cmds?.filter(
    (one) => !('AlterTableCmd' in one && one.AlterTableCmd.subtype === 'AT_ColumnDefault'),
  );
}

const callsLater = [
  ...['CreateStmt', 'CreateDomainStmt', 'ViewStmt', 'CreateTrigStmt', 'CreatePolicyStmt', 'AlterPolicyStmt'],
];

function createTable(review: Review, statement: CreateStmt): void {
  const { relation, tableElts = [], if_not_exists: ifMissing } = statement;
  if (ifMissing && review.isThere(review.keyOf(relation))) return;
  const table = review.create(relation);
  if (table === undefined) return;
  const isBorrowing = statement.inhRelations ?? statement.ofTypename ?? statement.partbound;
  if (!review.isOld(table) && !isBorrowing && !tableElts.some((one) => 'TableLikeClause' in one))
    review.schema.trustColumns(table);
  for (const element of tableElts)
    if ('ColumnDef' in element)
      review.schema.setColumn(table, element.ColumnDef.colname ?? '', {
        type: storedType(typeOf(element.ColumnDef.typeName)),
      });
}

/** Whether it is a timeout that the rest of the file has: 0 is none, and a RESET takes it back. */
function setVariable(review: Review, { name, kind, args = [] }: VariableSetStmt): void {
  if (name === 'search_path' || kind === 'VAR_RESET_ALL')
    review.names.setPath(args.map((one) => constantOf(one) ?? ''));
  if (name !== 'lock_timeout' && kind !== 'VAR_RESET_ALL') return;
  review.hasLockTimeout = kind === 'VAR_SET_VALUE' && !args.every(isNothing);
}

function isNothing(node: Node): boolean {
  if (!('A_Const' in node)) return textOf(node) === '0';
  const { ival, sval } = node.A_Const;
  return sval ? meansNone(sval.sval ?? '') : (ival?.ival ?? 0) === 0;
}
