import { readCopy } from './copy.ts';
import type { Review } from './review.ts';
import { reviewRows } from './row-review.ts';
import type { Deed } from './sandbox.ts';
import type { SqliteStatement } from './statements.ts';
import { fold, indexOfOwn, nameAt, queryOfTable, tableKey } from './tokens.ts';
import { reviewUnknownTable } from './unknown-table.ts';

/** Tries one statement of a file, and follows what SQLite says that it does. */
export function reviewStatement(review: Review, statement: SqliteStatement): void {
  if (isNotTried(review, statement)) return;
  const outcome = review.sandbox.attempt(statement);
  const { deeds, error } = outcome;
  if (error !== undefined) review.reportRefusal(statement.line, error);
  if (error !== undefined || deeds.length === 0) reviewUnknownTable(review, statement);
  else if (statement.tokens[0]?.word === 'DROP') reviewDrop(review, statement, deeds);
  else if (statement.tokens[0]?.word === 'ALTER') reviewAlter(review, statement, deeds);
  else if (statement.tokens[0]?.word === 'CREATE') reviewCreate(review, statement, deeds);
  else if (statement.tokens[0]?.word !== 'EXPLAIN') reviewRows(review, statement, outcome);
}

/** What is about the session, or about what is outside of the database. */
function isNotTried(review: Review, { tokens, line, text }: SqliteStatement): boolean {
  const has = (...words: string[]) => indexOfOwn(tokens, ...words) !== -1;
  const first = tokens[0]?.word ?? '';
  switch (first) {
    case 'BEGIN':
    case 'COMMIT':
    case 'END':
    case 'ROLLBACK':
      if (!has('TO')) review.report('explicit-transaction', line, `says ${first} by itself`);
      return true;
    case 'SAVEPOINT':
    case 'RELEASE':
      return true;
    case 'PRAGMA':
      if (/^PRAGMA\s+(?:\w+\s*\.\s*)?(?:temp|data)_store_directory\s*[=(]/i.test(text))
        review.report('outside-database', line, 'sets a folder of the file system');
      return true;
    case 'ATTACH':
    case 'DETACH':
      review.report('outside-database', line, `says ${first}: works on another database`, {
        destructive: first === 'ATTACH',
      });
      // What is in the other one is not known.
      review.isBroken = true;
      return true;
    case 'VACUUM':
      if (has('INTO')) review.report('outside-database', line, 'writes a copy of the database elsewhere');
      else if (isInTransaction(review)) review.reportRefusal(line, 'cannot VACUUM from within a transaction');
      return true;
    default:
      return false;
  }
}

/** A file of one statement runs as it is, and so does one with transactions of its own. */
const isInTransaction = ({ statements }: Review) =>
  statements.length > 1 && !statements.some(({ tokens }) => tokens[0]?.word === 'BEGIN');

function reviewDrop(review: Review, { line }: SqliteStatement, deeds: readonly Deed[]): void {
  for (const { does, key } of deeds) if (does === 'index') review.touch(key, line);
  const dropped = deeds.find(({ does }) => does === 'drop');
  if (!dropped) return;
  const holder = dropped.isTemporary ? undefined : review.rows.in(dropped.key);
  if (holder) review.droppedAt.set(holder.of, line);
  if (holder && !review.before.has(holder.of))
    review.reportLoss('drop-table', line, holder.of, `drops the table ${dropped.table}`);
  review.rows.drop(dropped.key);
  review.touch(dropped.key, line);
  reviewReferences(review, line, dropped.table, deeds);
}

/** With foreign keys on, a table that is dropped is emptied first: ON DELETE CASCADE and SET NULL do their work. */
function reviewReferences(review: Review, line: number, dropped: string, deeds: readonly Deed[]): void {
  const told = new Set([dropped]);
  for (const { does, table, column } of deeds) {
    const holder = review.rows.in(table);
    if ((does !== 'delete' && does !== 'update') || told.has(table) || !holder) continue;
    told.add(table);
    const name = review.nameOf(holder.of);
    const why = `dropping ${dropped} with foreign keys on`;
    const [rule, message] =
      does === 'delete'
        ? (['delete-without-where', `${why} deletes the rows of ${name} that refer to it`] as const)
        : (['update-without-where', `${why} writes over ${name}.${column ?? ''}`] as const);
    review.cascades.push({ of: holder.of, tell: () => review.reportLoss(rule, line, name, message) });
  }
}

function reviewAlter(review: Review, { tokens, line }: SqliteStatement, deeds: readonly Deed[]): void {
  const altered = deeds.find(({ does }) => does === 'alter');
  if (!altered) return;
  const { key, isTemporary } = altered;
  const { next } = nameAt(tokens, 2);
  const to = tokens.at(-1)?.text ?? '';
  review.touch(key, line);
  if (tokens[next]?.word === 'DROP' && altered.column !== undefined)
    review.rows.dropColumn(key, altered.column);
  if (tokens[next]?.word !== 'RENAME') return;
  if (tokens.length === next + 3) {
    review.rows.rename(key, tableKey(to, isTemporary));
    review.touch(tableKey(to, isTemporary), line);
  } else {
    review.rows.renameColumn(key, tokens.at(-3)?.text ?? '', to);
    review.lines.set(`${key}.${fold(to)}`, line);
  }
}

function reviewCreate(review: Review, statement: SqliteStatement, deeds: readonly Deed[]): void {
  const { sandbox, rows, sizes, before } = review;
  const { tokens, line } = statement;
  const created = deeds.find(({ does }) => does === 'create');
  // What a virtual table keeps its rows in comes after it, and is its own affair.
  const changed = created ?? deeds.find(({ does }) => does === 'index');
  if (changed) review.touch(changed.key, line);
  if (!created) return;
  const isLossy = tokens.some(
    ({ word }, at) => word === 'CONFLICT' && ['IGNORE', 'REPLACE'].includes(tokens[at + 1]?.word ?? ''),
  );
  if (isLossy) review.lossy.add(created.key);
  const columns = sandbox.columnsOf(created);
  const isMadeByHand = indexOfOwn(tokens, 'EXISTS') !== -1 && sizes.has(created.key);
  // The database has it, by no file: the one that is made here is not the one that is there.
  if (isMadeByHand && !before.has(created.key))
    rows.add(
      created.key,
      columns.map(({ name }) => name),
    );
  const copy = queryOfTable(tokens) === undefined ? undefined : readCopy(sandbox, statement, created);
  if (copy) rows.copy(copy, created.key);
}
