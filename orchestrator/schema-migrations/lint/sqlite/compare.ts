import type { Holder } from './kept-rows.ts';
import type { Review } from './review.ts';
import { affinityOf, type SqliteSchema, type SqliteTable } from './schema.ts';
import { fold } from './tokens.ts';

/** Tells what of the tables that were there before a file is not there any more as it was. */
export function compareSchemas(review: Review, after: SqliteSchema): void {
  // Rows of a table that is dropped as well are gone with it, which is told once.
  for (const { of, tell } of review.cascades) if (review.rows.whereIs(of)) tell();
  for (const key of review.touched) {
    const was = review.before.get(key);
    if (!was) continue;
    const found = review.rows.whereIs(key);
    const now = found && after.get(found.name);
    if (!found || !now) {
      const anew = after.has(key) ? ' and makes it anew, without all of its rows' : '';
      review.reportLoss(
        'drop-table',
        review.droppedAt.get(key) ?? 1,
        was.name,
        `drops the table ${was.name}${anew}`,
      );
      continue;
    }
    const line = review.lines.get(found.name) ?? review.lines.get(key) ?? 1;
    if (found.name !== key)
      review.report('rename-table', line, `renames the table ${was.name} to ${now.name}`, {
        table: was.name,
      });
    compareTable(review, line, { was, now, holder: found.holder });
  }
}

interface Pair {
  readonly was: SqliteTable;
  readonly now: SqliteTable;
  readonly holder: Holder;
}

function compareTable(review: Review, line: number, { was, now, holder }: Pair): void {
  const table = was.name;
  const columnOf = (name: string | undefined) => now.columns.find((one) => fold(one.name) === name);
  const dropped: SqliteTable['columns'][number][] = [];
  for (const column of was.columns) {
    const name = fold(column.name);
    const is = columnOf(holder.columns.get(name));
    const what = `${table}.${column.name}`;
    if (!is && columnOf(name)) {
      review.reportLoss('drop-column', line, table, `leaves the values of ${what} behind`);
      continue;
    }
    if (!is) {
      dropped.push(column);
      review.reportLoss('drop-column', line, table, `drops the column ${what}`);
      continue;
    }
    if (holder.made.has(name))
      review.reportLoss('update-without-where', line, table, `writes ${what} anew in every row`);
    if (fold(is.name) !== name) {
      const renamedAt = review.lines.get(`${fold(now.name)}.${fold(is.name)}`) ?? line;
      review.report('rename-column', renamedAt, `renames ${what} to ${is.name}`, { table });
    }
    if (affinityOf(is.type) !== affinityOf(column.type))
      review.reportLoss('change-type', line, table, `changes ${what} from ${column.type} to ${is.type}`);
    else if (is.isNotNull && !column.isNotNull)
      review.reportRisk('set-not-null', line, table, `makes ${what} NOT NULL`);
    else if (!is.isNotNull && column.isNotNull)
      review.report('drop-not-null', line, `lets ${what} be null`, { table });
  }
  compareAdded(review, line, { was, now, holder }, dropped);
  compareUnique(review, line, { was, now, holder });
}

function compareUnique(review: Review, line: number, { was, now, holder }: Pair): void {
  const before = new Map([...was.unique, was.key].map((names) => [anyOrder(names, holder.columns), names]));
  const after = new Set([...now.unique, now.key].map((names) => anyOrder(names)));
  for (const names of now.unique)
    if (!before.has(anyOrder(names)))
      review.reportRisk('add-unique', line, was.name, `makes ${was.name}(${names.join(', ')}) unique`);
  for (const [key, names] of before)
    // Of columns that are gone, it is told that they are.
    if (names.length > 0 && !after.has(key) && names.every((name) => holder.columns.has(fold(name))))
      review.report(
        'drop-constraint',
        line,
        `lets values of ${was.name}(${names.join(', ')}) be there twice`,
        {
          table: was.name,
        },
      );
}

function compareAdded(
  review: Review,
  line: number,
  { was, now, holder }: Pair,
  dropped: SqliteTable['columns'],
): void {
  const table = was.name;
  const kept = new Set(holder.columns.values());
  for (const one of now.columns.filter(({ name }) => !kept.has(fold(name)))) {
    const what = `${table}.${one.name}`;
    if (one.isNotNull && !one.hasDefault)
      review.reportRisk('not-null-without-default', line, table, `adds ${what}, NOT NULL without a default`);
    const other = dropped.find(({ type }) => type === one.type);
    if (other)
      review.reportLoss(
        ...(['possible-rename', line, table] as const),
        `drops ${table}.${other.name} and adds ${what} of the same type`,
      );
  }
}

/** The same for the same columns in any order, by the names that they have afterwards. */
const anyOrder = (names: readonly string[], renamed: ReadonlyMap<string, string> = new Map()) =>
  JSON.stringify(names.map((name) => renamed.get(fold(name)) ?? fold(name)).toSorted());
