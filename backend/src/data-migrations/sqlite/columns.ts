import type { DatabaseSync } from 'node:sqlite';
import type { ColumnOptions, ColumnSteps, ColumnTools } from '../add-column.ts';
import { quote } from '../identifiers.ts';
import { defaultClause, hasWord, isLiteral } from './create-table.ts';
import { findColumn, findTable, makeAnew, makeEmpty, violationsOf, type Table } from './rebuild.ts';
import type { SqliteSession } from './session.ts';
import { findTarget } from './target.ts';

/**
 * A constant at once, which writes no row. Otherwise nullable, without its default until all rows have their value: SQLite
 * gives a default to the rows that are there as well; then NOT NULL, with the default, in a table that is made anew.
 *
 * @param open gives a session that nobody else uses
 */
export function sqliteColumns(
  open: () => Promise<SqliteSession>,
  { log, signal }: Pick<ColumnTools, 'log' | 'signal'>,
): ColumnSteps {
  const inTransaction = async <T>(
    settings: string,
    work: (session: SqliteSession) => Promise<T>,
  ): Promise<T> => {
    signal.throwIfAborted();
    const session = await open();
    try {
      // Within a transaction SQLite does not listen to them.
      session.database.exec(settings);
      return await session.transaction(async () => await work(session));
    } finally {
      session.end();
    }
  };
  return {
    add: async (options) =>
      await inTransaction('', async (session) => {
        const { database } = session;
        const isAtOnce = isConstant(options);
        const found = findColumn(findTable(database, options.table), options.column);
        if (found?.hidden === 2 || found?.hidden === 3)
          throw new Error(`addColumnWithDefault: ${options.column} of ${options.table} is generated`);
        if (found === undefined) {
          const more = isAtOnce ? ` NOT NULL ${defaultClause(options.default)}` : '';
          const table = quote.name(findTable(database, options.table).name);
          database.exec(
            `ALTER TABLE ${table} ADD COLUMN ${quote.name(options.column)} ${options.type}${more}`,
          );
        }
        const table = findTable(database, options.table);
        if (isWhole(table, options)) return isAtOnce;
        // What cannot be done in the end is not begun.
        if (found?.notnull !== 1) findTarget(database, table.name, options.key);
        const level = await session.begin();
        try {
          makeEmpty(database, table, options);
        } finally {
          session.rollback(level);
        }
        return isAtOnce && found?.notnull === 1;
      }),
    forbidNull: async (options) => {
      await inTransaction(
        'PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON',
        async ({ database }) => {
          const table = findTable(database, options.table);
          if (isWhole(table, options)) return;
          const violations = violationsOf(database, table.name);
          fillTheLast(database, table, options);
          log(`makes the table ${table.name} anew, in which ${options.column} is NOT NULL`);
          makeAnew(database, table, options);
          if (violationsOf(database, table.name) !== violations)
            throw new Error(
              `addColumnWithDefault: foreign keys of ${table.name} would not hold any more (${violationsOf(database, table.name)}; before: ${violations})`,
            );
          await Promise.resolve();
        },
      );
    },
  };
}

/** A value that SQLite keeps in the schema, for all rows; not where it would have to look whether another table has it. */
function isConstant({ type, value, ...options }: ColumnOptions): boolean {
  const isSame = value === undefined || value.trim() === options.default.trim();
  return isSame && isLiteral(options.default) && !hasWord(type, 'REFERENCES');
}

function isWhole(table: Table, options: ColumnOptions): boolean {
  const found = findColumn(table, options.column);
  return found?.notnull === 1 && found.dflt_value === options.default.trim();
}

/** What was written as null since its batch: by an older release, or because it does not know of the column. */
function fillTheLast(database: DatabaseSync, table: Table, options: ColumnOptions): void {
  const { column, value = options.default } = options;
  const [name, is] = [quote.name(table.name), quote.name(column)];
  database.exec(`UPDATE ${name} SET ${is} = (${value}) WHERE ${is} IS NULL`);
  const n = database.prepare(`SELECT count(*) AS n FROM ${name} WHERE ${is} IS NULL`).get()?.['n'];
  if (n !== 0)
    throw new Error(
      `addColumnWithDefault: ${String(n)} rows of ${table.name} get null for ${column} by ${value}; give them a value, as by coalesce()`,
    );
}
