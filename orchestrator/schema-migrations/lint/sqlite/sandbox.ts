import type { DatabaseSync, StatementColumnMetadata } from 'node:sqlite';
import { messageOf } from '../../../lib/errors.ts';
import { readSchema, readTable, type SqliteColumn, type SqliteSchema } from './schema.ts';
import type { SqliteStatement } from './statements.ts';
import { queryOfTable, tableKey } from './tokens.ts';

/** What SQLite says that a statement does to a table, whatever the statement calls it. */
export interface Deed {
  readonly does: 'insert' | 'update' | 'delete' | 'create' | 'alter' | 'drop' | 'index';
  readonly table: string;
  /** Of an update, and of an ALTER TABLE ... DROP. */
  readonly column: string | undefined;
  readonly isTemporary: boolean;
  /** As `tableKey` makes it. */
  readonly key: string;
}

export interface Outcome {
  /** In SQLite's order: what the statement names comes before what follows of it. */
  readonly deeds: readonly Deed[];
  /** Names of the triggers that it fires (and of views, which do nothing) -> what those do. */
  readonly fired: ReadonlyMap<string, readonly Deed[]>;
  /** Why SQLite refuses it, in its words. */
  readonly error?: string;
}

/**
 * An empty database in memory that migrations are tried on. What makes, changes and drops tables runs on it, so that the
 * schema is SQLite's own; what reads and writes rows is compiled and not run, since no rows are there. Nothing gets out
 * of it: no other file, no extension, no setting.
 */
export class Sandbox {
  readonly #database: DatabaseSync;
  #deeds: Deed[] = [];
  #fired = new Map<string, Deed[]>();

  private constructor(database: DatabaseSync, constants: Constants) {
    this.#database = database;
    const deedOf = deedReader(constants);
    database.exec('PRAGMA temp_store=MEMORY');
    database.setAuthorizer((action, first, second, schema, by) => {
      if (action === constants.SQLITE_ATTACH || action === constants.SQLITE_DETACH)
        return constants.SQLITE_DENY;
      if (action === constants.SQLITE_FUNCTION && second?.toLowerCase() === 'load_extension')
        return constants.SQLITE_DENY;
      if (by !== null && !this.#fired.has(by)) this.#fired.set(by, []);
      // A trigger's deeds are not the statement's.
      const deeds = by === null ? this.#deeds : this.#fired.get(by);
      const deed = deedOf(action, first, second, schema);
      if (deed && !deed.table.startsWith('sqlite_')) deeds?.push(deed);
      return constants.SQLITE_OK;
    });
  }

  static async open(): Promise<Sandbox> {
    const { DatabaseSync: Database, constants } = await loadSqlite();
    return new Sandbox(new Database(':memory:'), constants);
  }

  /** Tries a statement. Whatever stands in it, nothing outside of this database is read or written. */
  attempt(statement: SqliteStatement): Outcome {
    const [deeds, fired] = [(this.#deeds = []), (this.#fired = new Map())];
    try {
      // Not `exec`: this takes one statement and leaves what may stand after it.
      const prepared = this.#database.prepare(textToRun(statement));
      if (isRun(statement)) prepared.run();
      return { deeds, fired };
    } catch (error) {
      return { deeds, fired, error: messageOf(error) };
    }
  }

  /**
   * The columns of a query's result.
   *
   * @returns undefined where there is no such query, or where it gives a row although there is none: an aggregate
   */
  resultOf(query: string): StatementColumnMetadata[] | undefined {
    try {
      const prepared = this.#database.prepare(query);
      const columns = prepared.columns();
      return prepared.get() === undefined ? columns : undefined;
    } catch {
      return undefined;
    }
  }

  /**
   * Whether a query can be compiled, and whether it gives a row.
   *
   * @param isRun false for one that may take long: then it is only compiled
   */
  answer(query: string, isRun: boolean): 'refused' | 'row' | 'none' {
    try {
      const prepared = this.#database.prepare(query);
      return !isRun || prepared.get() === undefined ? 'none' : 'row';
    } catch {
      return 'refused';
    }
  }

  /** As the migrations' own connection has it: without them, a DROP TABLE deletes nothing of other tables. */
  setForeignKeys(areOn: boolean): void {
    this.#database.exec(`PRAGMA foreign_keys=${areOn ? 'ON' : 'OFF'}`);
  }

  /** A table's columns by now. */
  columnsOf({ table, isTemporary }: Pick<Deed, 'table' | 'isTemporary'>): readonly SqliteColumn[] {
    return readTable(this.#database, table, isTemporary ? 'temp' : 'main')?.columns ?? [];
  }

  /** Whether a name without a schema means a temporary table or view, which hides another. */
  isTemporary(name: string): boolean {
    return (
      this.#database
        .prepare(
          "select 1 from temp.sqlite_schema where type in ('table', 'view') and name = ? collate nocase",
        )
        .get(name) !== undefined
    );
  }

  /** The CREATE TRIGGER of a trigger by this name. */
  triggerOf(name: string): string | undefined {
    const found = this.#database
      .prepare(
        `select sql from sqlite_schema where type = 'trigger' and name = ?1 collate nocase
         union all select sql from sqlite_temp_schema where type = 'trigger' and name = ?1 collate nocase`,
      )
      .get(name);
    return found === undefined ? undefined : String(found['sql']);
  }

  /** Every foreign key; without columns where it leads to the other table's primary key, whatever that is. */
  references(): { readonly from: string; readonly to: string; readonly columns?: readonly string[] }[] {
    const rows = this.#database
      .prepare(
        `select t.name as "from", f."table" as "to", json_group_array(f."to") as columns
         from sqlite_schema t, pragma_foreign_key_list(t.name, 'main') f where t.type = 'table' group by t.name, f.id`,
      )
      .all() as { from: string; to: string; columns: string }[];
    return rows.map(({ from, to, columns }) => {
      const names = JSON.parse(columns) as (string | null)[];
      return { from, to, ...(names.every((name) => name !== null) ? { columns: names } : {}) };
    });
  }

  isView(name: string): boolean {
    return (
      this.#database
        .prepare("select 1 from sqlite_schema where type = 'view' and name = ? collate nocase")
        .get(name) !== undefined
    );
  }

  /** What is there by now; see `readSchema`. */
  schema(known: SqliteSchema, touched: Iterable<string>): SqliteSchema {
    return readSchema(this.#database, known, touched);
  }
}

type Constants = (typeof import('node:sqlite'))['constants'];

function deedReader(constants: Constants) {
  const kinds = new Map<number, Deed['does']>([
    [constants.SQLITE_INSERT, 'insert'],
    [constants.SQLITE_UPDATE, 'update'],
    [constants.SQLITE_DELETE, 'delete'],
    [constants.SQLITE_CREATE_TABLE, 'create'],
    [constants.SQLITE_CREATE_TEMP_TABLE, 'create'],
    [constants.SQLITE_CREATE_VTABLE, 'create'],
    [constants.SQLITE_DROP_TABLE, 'drop'],
    [constants.SQLITE_DROP_TEMP_TABLE, 'drop'],
    [constants.SQLITE_DROP_VTABLE, 'drop'],
    [constants.SQLITE_CREATE_INDEX, 'index'],
    [constants.SQLITE_DROP_INDEX, 'index'],
  ]);
  return (
    action: number,
    first: string | null,
    second: string | null,
    schema: string | null,
  ): Deed | undefined => {
    const on = (table: string, isTemporary: boolean) => ({
      ...{ table, isTemporary, key: tableKey(table, isTemporary) },
    });
    if (action === constants.SQLITE_ALTER_TABLE)
      return { does: 'alter', column: schema ?? undefined, ...on(second ?? '', first === 'temp') };
    const does = kinds.get(action);
    if (does === undefined) return undefined;
    const table = (does === 'index' ? second : first) ?? '';
    return {
      does,
      column: does === 'update' ? (second ?? undefined) : undefined,
      ...on(table, schema === 'temp'),
    };
  };
}

/** What is about rows is compiled alone. VACUUM asks for its other file only when it runs. */
const isRun = ({ tokens }: SqliteStatement) =>
  ['CREATE', 'ALTER', 'DROP', 'VACUUM'].includes(tokens[0]?.word ?? '');

/** A table made of a query is made without its rows: what would take long takes nothing, and tables stay empty. */
function textToRun({ text, tokens }: SqliteStatement): string {
  const at = queryOfTable(tokens);
  const from = at === undefined ? undefined : tokens[at]?.start;
  return from === undefined ? text : `${text.slice(0, from)} SELECT * FROM (${text.slice(from)}\n) LIMIT 0`;
}

/** It is announced as experimental on standard error, which is none of the operator's business. */
async function loadSqlite(): Promise<typeof import('node:sqlite')> {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return await import('node:sqlite');
  } finally {
    process.emitWarning = emitWarning;
  }
}
