import type { CreateStmt, DeleteStmt, DoStmt, DropStmt, Node, RenameStmt, UpdateStmt } from 'libpg-query';
import { reviewAlterTable, reviewConcurrently } from './alter-table.ts';
import { statementsOfDo } from './inside-do.ts';
import { findAll, keyOf, keyOfNames, namesOf, textOf, typeOf } from './nodes.ts';
import { parsePostgres, type Statement } from './parse.ts';
import type { Review } from './review.ts';

/** Looks at one statement, and lets the schema be what it makes of it. */
export function reviewStatement(review: Review, { node, line, partLines }: Statement): void {
  if ('AlterTableStmt' in node) reviewAlterTable(review, node.AlterTableStmt, partLines);
  else if ('CreateStmt' in node) createTable(review, node.CreateStmt);
  else if ('CreateTableAsStmt' in node) review.create(keyOf(node.CreateTableAsStmt.into?.rel));
  else if ('CreateEnumStmt' in node)
    review.schema.setEnum(
      keyOfNames(namesOf(node.CreateEnumStmt.typeName)),
      namesOf(node.CreateEnumStmt.vals),
    );
  else if ('DropStmt' in node) drop(review, node.DropStmt, line);
  else if ('RenameStmt' in node) rename(review, node.RenameStmt, line);
  else if ('AlterObjectSchemaStmt' in node) {
    const { relation, newschema, objectType } = node.AlterObjectSchemaStmt;
    const table = keyOf(relation);
    if (objectType === 'OBJECT_TABLE' && review.isOld(table))
      review.report('rename-table', line, `moves the table ${table} to the schema ${newschema ?? ''}`, {
        table,
      });
  } else if ('AlterEnumStmt' in node) {
    const { typeName, oldVal, newVal = '' } = node.AlterEnumStmt;
    const type = keyOfNames(namesOf(typeName));
    if (oldVal !== undefined)
      review.report('rename-enum-value', line, `renames the value ${oldVal} of ${type} to ${newVal}`);
    const values = review.schema.enumValues(type) ?? [];
    review.schema.setEnum(type, [...values.filter((value) => value !== oldVal), newVal]);
  } else if ('IndexStmt' in node) {
    const { relation, concurrent, unique, idxname = 'an index' } = node.IndexStmt;
    const table = keyOf(relation);
    if (concurrent) reviewConcurrently(review, line, 'CREATE INDEX');
    else review.lock(table, line);
    if (unique)
      review.reportRisk(
        'add-unique',
        line,
        table,
        `the unique index ${idxname} refuses values that are there twice in ${table}`,
      );
    if (!concurrent)
      review.reportWork('index-not-concurrently', line, table, `builds ${idxname} on ${table}`);
  } else if ('ReindexStmt' in node) {
    const isConcurrent = node.ReindexStmt.params?.some(
      (one) => 'DefElem' in one && one.DefElem.defname === 'concurrently',
    );
    if (isConcurrent) reviewConcurrently(review, line, 'REINDEX');
  } else if ('ClusterStmt' in node) {
    const table = keyOf(node.ClusterStmt.relation);
    review.reportWork('rewrite-table', line, table, `writes ${table} anew`);
  } else if ('TruncateStmt' in node) {
    for (const one of node.TruncateStmt.relations ?? [])
      if ('RangeVar' in one)
        review.reportLoss('truncate', line, keyOf(one.RangeVar), `empties ${keyOf(one.RangeVar)}`);
  } else if ('TransactionStmt' in node) {
    const word = (node.TransactionStmt.kind ?? '').replace('TRANS_STMT_', '').replaceAll('_', ' ');
    review.report('explicit-transaction', line, `says ${word} by itself`);
  } else if ('VariableSetStmt' in node) review.set(node.VariableSetStmt.name ?? '');
  else if ('DoStmt' in node) reviewDo(review, node.DoStmt, line);
  reviewWrites(review, node, line);
}

function createTable(review: Review, { relation, tableElts, if_not_exists: ifMissing }: CreateStmt): void {
  const table = keyOf(relation);
  if (ifMissing && review.schema.hasTable(table)) return;
  review.create(table);
  for (const element of tableElts ?? [])
    if ('ColumnDef' in element)
      review.schema.setColumn(table, element.ColumnDef.colname ?? '', {
        type: typeOf(element.ColumnDef.typeName),
      });
}

function drop(review: Review, { removeType, objects, concurrent, behavior }: DropStmt, line: number): void {
  if (concurrent) reviewConcurrently(review, line, 'DROP INDEX');
  const cascades = behavior === 'DROP_CASCADE';
  for (const object of objects ?? []) {
    const name = nameOf(object);
    switch (removeType) {
      case 'OBJECT_TABLE':
        review.lock(name, line);
        review.reportLoss('drop-table', line, name, `drops the table ${name}`);
        review.schema.dropTable(name);
        break;
      case 'OBJECT_SCHEMA':
        if (cascades)
          review.report('drop-table', line, `drops the schema ${name} with all of its tables`, {
            destructive: true,
          });
        break;
      case 'OBJECT_TYPE':
      case 'OBJECT_DOMAIN':
      case 'OBJECT_EXTENSION':
        if (cascades)
          review.report('drop-type', line, `drops ${name}, and with it every column that is made of it`, {
            severity: 'error',
            destructive: true,
          });
        else if (removeType !== 'OBJECT_EXTENSION' && !review.isReplacedType(name))
          review.report('drop-type', line, `drops the type ${name}`);
        break;
      default:
    }
  }
}

function nameOf(object: Node): string {
  if ('List' in object) return keyOfNames(namesOf(object.List.items));
  if ('TypeName' in object) return typeOf(object.TypeName).name;
  return textOf(object) ?? '';
}

function rename(review: Review, statement: RenameStmt, line: number): void {
  const { renameType, relationType, relation, object, subname = '', newname = '' } = statement;
  const table = keyOf(relation);
  if (renameType === 'OBJECT_TABLE') {
    if (review.isOld(table))
      review.report('rename-table', line, `renames the table ${table} to ${newname}`, { table });
    const schema = table.includes('.') ? `${table.split('.')[0] ?? ''}.` : '';
    review.rename(table, `${schema}${newname}`);
  } else if (renameType === 'OBJECT_COLUMN' && relationType === 'OBJECT_TABLE') {
    if (review.isOld(table))
      review.report('rename-column', line, `renames ${table}.${subname} to ${newname}`, { table });
    review.schema.renameColumn(table, subname, newname);
  } else if (renameType === 'OBJECT_TYPE' && object) review.renameType(nameOf(object), newname);
}

/** Rows that a statement takes away or writes over, wherever in it that stands. */
function reviewWrites(review: Review, statement: Node, line: number): void {
  for (const { kind, node } of findAll(statement, ['DeleteStmt', 'UpdateStmt'])) {
    const write = node as DeleteStmt & UpdateStmt;
    const table = keyOf(write.relation);
    if (write.whereClause !== undefined) continue;
    if (kind === 'DeleteStmt') {
      if (write.usingClause === undefined)
        review.reportLoss('delete-without-where', line, table, `deletes every row of ${table}`);
      continue;
    }
    if (write.fromClause !== undefined) continue;
    const columns = (write.targetList ?? []).flatMap((one) =>
      'ResTarget' in one ? [one.ResTarget.name ?? ''] : [],
    );
    const what = `writes ${columns.join(', ')} of every row of ${table}`;
    // What this migration has added holds nothing to lose.
    if (columns.every((name) => review.isNewColumn(table, name)))
      review.reportWork('update-without-where', line, table, what);
    else review.reportLoss('update-without-where', line, table, what);
  }
}

/** What a DO block runs is looked at as if it stood in the file. */
function reviewDo(review: Review, statement: DoStmt, line: number): void {
  const body = (statement.args ?? []).flatMap((one) =>
    'DefElem' in one && one.DefElem.defname === 'as' ? (textOf(one.DefElem.arg) ?? []) : [],
  )[0];
  if (body === undefined) return;
  for (const { sql, line: inBlock } of statementsOfDo(`DO $holdfast$${body}$holdfast$`))
    for (const { node, partLines } of parsePostgres(sql).statements) {
      const at = line + inBlock - 1;
      reviewStatement(review, { node, line: at, partLines: partLines.map((part) => at + part - 1) });
    }
}
