import type { DropStmt, Node, RenameStmt } from 'libpg-query';
import { reviewConcurrently } from './alter-table.ts';
import { keyBeside } from '../finding.ts';
import { keyOfNames, namesOf, textOf, typeOf } from './nodes.ts';
import type { Review } from './review.ts';

export function drop(
  review: Review,
  { removeType, objects, concurrent, behavior, missing_ok: ifThere }: DropStmt,
  line: number,
): void {
  if (concurrent) reviewConcurrently(review, line, 'DROP INDEX');
  const cascades = behavior === 'DROP_CASCADE';
  for (const object of objects ?? []) {
    const name = nameOf(object);
    switch (removeType) {
      case 'OBJECT_TABLE': {
        const [own = '', schema] = 'List' in object ? namesOf(object.List.items).toReversed() : [];
        const table = review.names.keyOf(schema, own);
        if (ifThere === true && review.isKnownMissing(table)) break;
        review.lock(table, line);
        review.reportLoss('drop-table', line, table, `drops the table ${table}`);
        review.drop(table);
        break;
      }
      case 'OBJECT_SCHEMA':
        if (cascades)
          review.report('drop-table', line, `drops the schema ${name} with all of its tables`, {
            destructive: true,
          });
        break;
      case 'OBJECT_TYPE':
      case 'OBJECT_DOMAIN':
      case 'OBJECT_COLLATION':
      case 'OBJECT_EXTENSION':
        if (cascades)
          review.report('drop-type', line, `drops ${name}, and with it every column that is made of it`, {
            severity: 'error',
            destructive: true,
          });
        else if (
          (removeType === 'OBJECT_TYPE' || removeType === 'OBJECT_DOMAIN') &&
          !review.isReplacedType(name)
        )
          review.report('drop-type', line, `drops the type ${name}`);
        break;
      case 'OBJECT_FUNCTION':
      case 'OBJECT_PROCEDURE':
      case 'OBJECT_ROUTINE':
      case 'OBJECT_SEQUENCE':
        if (cascades)
          review.report(
            'drop-constraint',
            line,
            `drops ${name}, and with it the checks, defaults, triggers and computed columns that use it`,
          );
        break;
      default:
    }
  }
}

function nameOf(object: Node): string {
  if ('List' in object) return keyOfNames(namesOf(object.List.items));
  if ('TypeName' in object) return typeOf(object.TypeName).name;
  if ('ObjectWithArgs' in object) return keyOfNames(namesOf(object.ObjectWithArgs.objname));
  return textOf(object) ?? '';
}

/** ALTER VIEW and the like rename tables too. */
const ofRelations: readonly RenameStmt['renameType'][] = ['OBJECT_VIEW', 'OBJECT_INDEX', 'OBJECT_SEQUENCE'];

export function rename(review: Review, statement: RenameStmt, line: number): void {
  const { renameType, relationType, relation, object, subname = '', newname = '' } = statement;
  const table = review.keyOf(relation);
  if (renameType === 'OBJECT_TABLE' || (ofRelations.includes(renameType) && review.schema.hasTable(table))) {
    if (review.isOld(table))
      review.report('rename-table', line, `renames the table ${table} to ${newname}`, { table });
    review.rename(table, keyBeside(table, newname));
  } else if (renameType === 'OBJECT_SCHEMA') {
    review.schema.hasRenamedSchema = true;
    review.report(
      'rename-table',
      line,
      `renames the schema ${subname}, and so every table in it, to ${newname}`,
    );
  } else if (renameType === 'OBJECT_ATTRIBUTE') {
    if (!review.isNewType(table))
      review.report('rename-column', line, `renames ${subname} of the type ${table} to ${newname}`);
  } else if (renameType === 'OBJECT_COLUMN' && relationType === 'OBJECT_TABLE') {
    if (review.isOld(table))
      review.report('rename-column', line, `renames ${table}.${subname} to ${newname}`, { table });
    review.renameColumn(table, subname, newname);
  } else if (renameType === 'OBJECT_TYPE' && object)
    review.renameType(nameOf(object), keyBeside(nameOf(object), newname));
}
