import { hasCondition } from './condition.ts';
import { readCopy } from './copy.ts';
import type { Review } from './review.ts';
import type { Deed, Outcome } from './sandbox.ts';
import type { SqliteStatement } from './statements.ts';
import { fold, indexOfOwn } from './tokens.ts';
import { leavesRowsOut, readTrigger } from './triggers.ts';

/** Rows that are deleted, written over, or copied: by a statement, and by the triggers that it fires. */
export function reviewRows(review: Review, statement: SqliteStatement, { deeds, fired }: Outcome): void {
  const { sandbox, rows } = review;
  const first = deeds.find(({ does }) => does === 'delete' || does === 'update' || does === 'insert');
  if (!first) return;
  const triggers = [...fired].map(([name, does]) => ({
    name,
    does,
    ...readTrigger(sandbox.triggerOf(name)),
  }));
  for (const { name, does, statements } of triggers)
    for (const { written, ...body } of statements) {
      const deed = does.find(
        ({ does: verb, table }) => verb === written.does && isSame(table, written.table),
      );
      // On a view it runs for each row that the statement means.
      const isEvery = rows.in(first.key) === undefined && sandbox.isView(first.table);
      const has = () => hasCondition(sandbox, body) && !(isEvery && !hasCondition(sandbox, statement));
      const by = `, by the trigger ${name}`;
      if (deed) reviewTaken(review, { ...body, line: statement.line }, { first: deed, deeds: does, has, by });
    }
  if (first.does === 'insert' && !isOverwriting(statement)) {
    const copy = readCopy(sandbox, statement, first);
    const isWhole = !review.lossy.has(first.key) && !triggers.some((one) => leavesRowsOut(one, first));
    if (copy && isWhole) rows.copy(copy, first.key);
    return;
  }
  reviewTaken(review, statement, { first, deeds, has: () => hasCondition(sandbox, statement), by: '' });
}

const isSame = (one: string, other: string) => fold(one) === fold(other);

interface Taking {
  /** What is done to the table that the statement names. */
  readonly first: Deed;
  readonly deeds: readonly Deed[];
  /** Whether it means rows of its own choice. */
  readonly has: () => boolean;
  /** Who does it, where the statement itself does not. */
  readonly by: string;
}

/** Tells of every row of a table that it is deleted or written over. */
function reviewTaken(review: Review, statement: SqliteStatement, { first, deeds, has, by }: Taking): void {
  const { line, tokens } = statement;
  const holder = review.rows.in(first.key);
  if (holder && first.isTemporary) takeFromCopy(review, first, deeds, has);
  if (!holder || first.isTemporary || has()) return;
  const table = review.nameOf(holder.of);
  if (first.does === 'delete')
    review.reportLoss('delete-without-where', line, table, `deletes every row of ${table}${by}`);
  else if (first.does === 'insert') {
    if (isOverwriting(statement) && indexOfOwn(tokens, 'FROM') !== -1)
      review.reportLoss('update-without-where', line, table, `writes rows of ${table} over${by}`);
  } else {
    const kept = new Set(holder.columns.values());
    const isOld = deeds.some(
      ({ does, table: one, column = '' }) =>
        does === 'update' && one === first.table && kept.has(fold(column)),
    );
    const message = `writes every row of ${table}${by}`;
    if (isOld) review.reportLoss('update-without-where', line, table, message);
    // Nothing stood in a column that is new.
    else review.report('update-without-where', line, message, { table });
  }
}

/** Nothing is lost by what is done to a temporary copy, unless the rows come back from it. */
function takeFromCopy(
  { rows }: Review,
  { key, does }: Deed,
  deeds: readonly Deed[],
  has: () => boolean,
): void {
  if (does !== 'update') rows.drop(key);
  else if (!has())
    rows.makeAnew(
      key,
      new Set(
        deeds.flatMap((one) => (one.key === key && one.does === 'update' ? [fold(one.column ?? '')] : [])),
      ),
    );
}

/** REPLACE, OR REPLACE, ON CONFLICT DO UPDATE: what was there under the same key is gone. */
function isOverwriting({ tokens }: SqliteStatement): boolean {
  const into = indexOfOwn(tokens, 'INTO');
  const conflict = indexOfOwn(tokens, 'DO');
  return tokens[into - 1]?.word === 'REPLACE' || tokens[conflict + 1]?.word === 'UPDATE';
}
