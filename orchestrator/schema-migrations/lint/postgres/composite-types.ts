import type { AlterTableStmt } from 'libpg-query';
import { typeOf } from './nodes.ts';
import type { Review } from './review.ts';
import { formatType } from './types.ts';

/** Looks at each action of an ALTER TYPE on a composite type: what it takes away is gone from every column of that type. */
export function reviewCompositeType(review: Review, { relation, cmds }: AlterTableStmt, line: number): void {
  const type = review.keyOf(relation);
  if (review.isNewType(type)) return;
  for (const node of cmds ?? []) {
    if (!('AlterTableCmd' in node)) continue;
    const { subtype, name = '', def } = node.AlterTableCmd;
    if (subtype === 'AT_DropColumn')
      review.report('drop-column', line, `drops ${name} of the type ${type}, in every column of it`, {
        destructive: true,
      });
    if (subtype === 'AT_AlterColumnType' && def && 'ColumnDef' in def)
      review.report(
        'change-type',
        line,
        `changes ${name} of the type ${type} to ${formatType(typeOf(def.ColumnDef.typeName))}, in every column of it`,
        { destructive: true },
      );
  }
}
