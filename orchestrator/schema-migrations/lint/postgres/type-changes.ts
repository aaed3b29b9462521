import type { ColumnDef, Node } from 'libpg-query';
import { columnOf, typeOf } from './nodes.ts';
import type { Review } from './review.ts';
import { formatType, judgeTypeChange, type ColumnType } from './types.ts';

/** A column that gets another type; what it had is known from the migrations before. */
export function reviewTypeChange(
  review: Review,
  { table, name, line }: { table: string; name: string; line: number },
  { typeName, raw_default: using }: ColumnDef,
): void {
  const to = typeOf(typeName);
  const from = review.schema.column(table, name)?.type;
  review.schema.setColumn(table, name, { type: to });
  const change = `${table}.${name} from ${from === undefined ? 'what it is' : formatType(from)} to ${formatType(to)}`;
  if (!isCastOf(name, using, from)) {
    review.reportLoss('change-type', line, table, `writes other values into ${table}.${name} (USING)`);
    return;
  }
  const [before, after] = [from && review.schema.enumValues(from.name), review.schema.enumValues(to.name)];
  if (before && after && from?.dimensions === to.dimensions) {
    const gone = before.filter((value) => !after.includes(value));
    if (gone.length === 0)
      review.reportWork('rewrite-table', line, table, `writes ${table} anew to change ${change}`);
    else
      review.reportRisk(
        'change-type',
        line,
        table,
        `changes ${change}, which fails on every row with ${gone.join(', ')}`,
      );
    return;
  }
  const judgement = from === undefined ? 'unsafe' : judgeTypeChange(from, to);
  if (judgement === 'rewrite')
    review.reportWork('rewrite-table', line, table, `writes ${table} anew to change ${change}`);
  if (judgement === 'unsafe') review.reportLoss('change-type', line, table, `changes ${change}`);
}

/** Whether USING is the column itself, by way of no type that could not hold its values. */
function isCastOf(name: string, using: Node | undefined, from: ColumnType | undefined): boolean {
  if (!using) return true;
  // What the whole yields is judged by the new type.
  const value = 'TypeCast' in using ? using.TypeCast.arg : using;
  const isKept = (node: Node | undefined): boolean => {
    if (!node || !('TypeCast' in node)) return columnOf(node) === name;
    const by = typeOf(node.TypeCast.typeName);
    // Text without a limit holds a value of any type, an array as a whole too: so Prisma changes an enum's arrays.
    const holdsAll = by.name === 'text' && by.dimensions === 0;
    return (
      isKept(node.TypeCast.arg) && from !== undefined && (holdsAll || judgeTypeChange(from, by) !== 'unsafe')
    );
  };
  return isKept(value);
}
