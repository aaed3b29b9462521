import type { AlterTableCmd, AlterTableStmt, ColumnDef, Constraint, Node } from 'libpg-query';
import { volatileFunction } from './defaults.ts';
import { columnOf, constraintsOf, namesOf, typeOf } from './nodes.ts';
import type { Review } from './review.ts';
import { reviewTypeChange } from './type-changes.ts';
import { isSerial, storedType } from './types.ts';

/** Looks at each action of an ALTER TABLE. */
export function reviewAlterTable(review: Review, statement: AlterTableStmt, lines: readonly number[]): void {
  if (statement.objtype !== 'OBJECT_TABLE') return;
  const table = review.keyOf(statement.relation);
  review.lock(table, lines[0] ?? 1);
  for (const [index, node] of (statement.cmds ?? []).entries())
    if ('AlterTableCmd' in node)
      reviewAction(review, table, node.AlterTableCmd, lines[index] ?? lines[0] ?? 1);
}

function reviewAction(review: Review, table: string, action: AlterTableCmd, line: number): void {
  const { name = '', def } = action;
  const column = `${table}.${name}`;
  switch (action.subtype) {
    case 'AT_AddColumn':
      if (def && 'ColumnDef' in def) reviewNewColumn(review, table, action, def.ColumnDef, line);
      return;
    case 'AT_DropColumn':
      if (!review.isNewColumn(table, name))
        review.reportLoss('drop-column', line, table, `drops the column ${column}`);
      review.dropColumn(table, name, line);
      return;
    case 'AT_AlterColumnType':
      if (def && 'ColumnDef' in def) reviewTypeChange(review, { table, name, line }, def.ColumnDef);
      return;
    case 'AT_SetNotNull':
      reviewNotNull(review, table, name, line);
      return;
    case 'AT_DropNotNull':
      if (review.isOld(table)) review.report('drop-not-null', line, `lets ${column} be null`, { table });
      return;
    case 'AT_AddConstraint':
      if (!(def && 'Constraint' in def)) return;
      review.addConstraint(table, def.Constraint);
      reviewConstraint(review, table, def.Constraint, line);
      return;
    case 'AT_ValidateConstraint': {
      review.schema.validateConstraint(table, name);
      const rule = review.constraints.ruleOfValidation(table, name);
      if (rule)
        review.reportRisk(
          rule,
          line,
          table,
          `validates ${name} of ${table} in the migration that adds it, whose lock lasts to its end`,
        );
      return;
    }
    case 'AT_DropConstraint':
      review.dropConstraint(table, name, line);
      return;
    case 'AT_SetExpression':
    case 'AT_SetLogged':
    case 'AT_SetUnLogged':
    case 'AT_SetTableSpace':
    case 'AT_SetAccessMethod':
      review.reportWork('rewrite-table', line, table, `writes ${table} anew`);
      return;
    case 'AT_AttachPartition':
      if (def && 'PartitionCmd' in def) {
        const part = review.keyOf(def.PartitionCmd.name);
        review.reportWork('check-validates', line, part, `checks every row of ${part} against its bounds`);
      }
      return;
    case 'AT_DetachPartition':
      if (!(def && 'PartitionCmd' in def)) return;
      if (def.PartitionCmd.concurrent) reviewConcurrently(review, line, 'DETACH PARTITION');
      if (review.isOld(table))
        review.report(
          'detach-partition',
          line,
          `takes ${review.keyOf(def.PartitionCmd.name)} out of ${table}`,
          {
            table,
          },
        );
      return;
    default:
  }
}

function reviewNotNull(review: Review, table: string, name: string, line: number): void {
  if (!review.schema.isProvenNotNull(table, name))
    review.reportRisk('set-not-null', line, table, `makes ${table}.${name} NOT NULL`);
}

export function reviewConcurrently(review: Review, line: number, what: string): void {
  if (!review.isAlone)
    review.report(
      'concurrently-not-alone',
      line,
      `${what} CONCURRENTLY is not the only statement of its file`,
    );
}

function reviewNewColumn(
  review: Review,
  table: string,
  { missing_ok: ifMissing }: AlterTableCmd,
  definition: ColumnDef,
  line: number,
): void {
  const { colname: name = '', typeName } = definition;
  const column = `${table}.${name}`;
  const type = typeOf(typeName);
  const constraints = constraintsOf(definition.constraints);
  const has = (kind: Constraint['contype']) => constraints.find(({ contype }) => contype === kind);
  if (ifMissing !== true || review.schema.lacksColumn(table, name))
    review.addColumn(table, name, { type: storedType(type) });
  // It has the values that it had.
  else if (review.schema.column(table, name)) return;
  const value = has('CONSTR_DEFAULT')?.raw_expr;
  const isNumbered = isSerial(type) || has('CONSTR_IDENTITY') !== undefined;
  const computed = has('CONSTR_GENERATED');
  if (isNumbered)
    review.reportWork('volatile-default', line, table, `numbers every row in the new ${column}`);
  else if (computed?.generated_kind === 's')
    review.reportWork('rewrite-table', line, table, `computes the new ${column} for every row`);
  const called = volatileFunction(value);
  if (called !== undefined)
    review.reportWork(
      'volatile-default',
      line,
      table,
      `computes ${called}() for every row of the new ${column}`,
    );
  const mustHaveValue =
    (has('CONSTR_NOTNULL') ?? has('CONSTR_PRIMARY')) !== undefined || review.schema.isStrictDomain(type.name);
  const isNull = value !== undefined && 'A_Const' in value && value.A_Const.isnull === true;
  if (mustHaveValue && (value === undefined || isNull) && !isNumbered && !computed)
    review.reportRisk('not-null-without-default', line, table, `adds ${column}, NOT NULL without a default`);
  else if (review.schema.isConstrainedDomain(type.name))
    review.reportWork(
      'rewrite-table',
      line,
      table,
      `writes ${table} anew to check ${column} against its domain ${type.name}`,
    );
  for (const { contype, pktable } of constraints)
    if (contype === 'CONSTR_FOREIGN') review.constraints.refer(review.keyOf(pktable));
  // A new column without a default is null everywhere: no reference to check, no value twice.
  if (value === undefined) return;
  for (const constraint of constraints)
    if (constraint.contype !== 'CONSTR_DEFAULT' && constraint.contype !== 'CONSTR_NOTNULL')
      reviewConstraint(review, table, constraint, line);
}

function reviewConstraint(review: Review, table: string, constraint: Constraint, line: number): void {
  const name = constraint.conname === undefined ? '' : ` ${constraint.conname}`;
  switch (constraint.contype) {
    case 'CONSTR_FOREIGN': {
      review.constraints.refer(review.keyOf(constraint.pktable));
      if (constraint.skip_validation) {
        review.constraints.addNotValid(table, constraint.conname ?? '', 'foreign-key-validates');
        return;
      }
      const columns = namesOf(constraint.fk_attrs).join(', ');
      const to = review.keyOf(constraint.pktable);
      review.lock(to, line);
      // Columns that are new are null.
      if (columns !== '' && namesOf(constraint.fk_attrs).every((one) => review.isNewColumn(table, one)))
        return;
      review.reportRisk(
        'foreign-key-validates',
        line,
        table,
        `checks that each ${table}${columns === '' ? '' : `(${columns})`} is in ${to}`,
      );
      return;
    }
    case 'CONSTR_CHECK':
      review.schema.addNotNullCheck(
        table,
        constraint.conname ?? '',
        columnsKept(constraint.raw_expr),
        constraint.skip_validation !== true,
      );
      if (constraint.skip_validation)
        review.constraints.addNotValid(table, constraint.conname ?? '', 'check-validates');
      else
        review.reportRisk(
          'check-validates',
          line,
          table,
          `checks every row of ${table} against${name === '' ? ' a CHECK' : name}`,
        );
      return;
    case 'CONSTR_NOTNULL':
      if (constraint.skip_validation)
        review.constraints.addNotValid(table, constraint.conname ?? '', 'set-not-null');
      else reviewNotNull(review, table, namesOf(constraint.keys)[0] ?? '', line);
      return;
    case 'CONSTR_UNIQUE':
    case 'CONSTR_PRIMARY':
    case 'CONSTR_EXCLUSION': {
      if (constraint.indexname !== undefined) return;
      const columns = namesOf(constraint.keys).join(', ');
      review.reportRisk(
        'add-unique',
        line,
        table,
        `makes ${table}${columns === '' ? name : `(${columns})`} unique`,
      );
      return;
    }
    default:
  }
}

/** The columns that a CHECK keeps from being null: `a IS NOT NULL AND ...`. */
function columnsKept(expression: Node | undefined): string[] {
  if (!expression) return [];
  if ('BoolExpr' in expression && expression.BoolExpr.boolop === 'AND_EXPR')
    return (expression.BoolExpr.args ?? []).flatMap(columnsKept);
  if (!('NullTest' in expression) || expression.NullTest.nulltesttype !== 'IS_NOT_NULL') return [];
  const column = columnOf(expression.NullTest.arg);
  return column === undefined ? [] : [column];
}
