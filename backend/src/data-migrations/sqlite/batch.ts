import type { StatementSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';
import type { BatchSession } from '../batch/batch.ts';
import { beginBy, MOST_KEPT, START, type Kept, type Named, type Positions } from '../batch/cursor.ts';
import type { Other, Plan } from '../batch/plan.ts';
import { modelSource } from '../batch/model.ts';
import type { BatchOptions } from '../batch/options.ts';
import type { Cursor, Source } from '../batch/source.ts';
import { ModelRow } from '../batch/rows.ts';
import { refuseLost } from '../batch/values.ts';
import type { Change } from '../batch/write-changes.ts';
import { quote } from '../identifiers.ts';
import { storable } from '../store.ts';
import type { Watch } from '../watched-client.ts';
import type { SqliteSession } from './session.ts';
import { decodeKey, encodeKey, findTarget, keyTerms, marksOf, tupleOf, type SqliteTarget } from './target.ts';
import { alsoWhere, updateRange, verifyLeadsOn, watchBeyond } from './update-range.ts';
import { toSqlite } from './values.ts';

/** More than these are not counted beforehand: nothing else is done in this process meanwhile. */
const MOST_COUNTED = 1_000_000;

/** The session of a migration's batches. There is no server to be kept from its work, so nothing is held back. */
export class SqliteBatches implements BatchSession {
  readonly watch: Watch;
  readonly database: BatchSession['database'];
  readonly #session: SqliteSession;
  #target: SqliteTarget | undefined;
  #isModel = false;

  /** @param watch a client on the same session */
  constructor(session: SqliteSession, watch: Watch) {
    this.#session = session;
    this.watch = watch;
    this.database = {
      transaction: async (work) => await session.transaction(work),
      hold: async () => await Promise.resolve(),
      limit: async () => await Promise.resolve(),
      updateRange: async (range) =>
        await session.run(() => updateRange(session.database, this.#current, range)),
      writeChanges: async (changes, last) => await Promise.resolve(this.#writeChanges(changes, last)),
    };
  }

  async open(options: BatchOptions): Promise<Source> {
    this.#isModel = options.model !== undefined;
    const find = (table: string, wanted: string | readonly string[] | undefined): SqliteTarget =>
      (this.#target = findTarget(this.#session.database, table, wanted));
    if (options.table === undefined)
      return await modelSource(this.watch.prisma, options, {
        find: async (table, _schema, wanted) => await Promise.resolve(find(table, wanted)),
        // The transaction is the only one that writes.
        lock: async () => await Promise.resolve(),
        count: async (count) => await count(),
        toColumn: (_target, _row, { name }, value, own) => refuseLost(name, own(value)),
      });
    const target = find(options.table, options.key);
    return {
      target,
      columnOf: (name) => name,
      toColumn: (_row, name, value) => refuseLost(name, value),
      read: async (after, size) => await Promise.resolve(this.#read(options, after, size)),
      estimate: async (after) =>
        await this.#session.run(() => {
          const from = `FROM ${target.table} AS t WHERE ${this.#beyond(after)}${alsoWhere(options.where)}`;
          const sql = `SELECT count(*) AS n FROM (SELECT 1 ${from} LIMIT ${MOST_COUNTED + 1})`;
          const n = Number(this.#prepare(sql).get(...this.#values(after))?.['n']);
          return n > MOST_COUNTED ? undefined : n;
        }),
    };
  }

  positions(named: Named): Positions {
    const { migration, batch } = named;
    const take = (): Kept => {
      this.#prepare(
        'INSERT INTO holdfast_data_migration_batches (migration, batch) VALUES (?, ?) ON CONFLICT DO NOTHING',
      ).run(migration, batch);
      const row = this.#prepare(
        'SELECT "cursor", done, failed, finished, plan FROM holdfast_data_migration_batches WHERE migration = ? AND batch = ?',
      ).get(migration, batch);
      return row === undefined ? { ...START, plan: null } : positionOf(row);
    };
    return {
      begin: async (plan) => {
        const position = beginBy(take(), plan, named, this.#others(migration));
        this.#prepare(
          'UPDATE holdfast_data_migration_batches SET plan = ? WHERE migration = ? AND batch = ?',
        ).run(JSON.stringify(plan), migration, batch);
        return await Promise.resolve(position);
      },
      take: async () => await Promise.resolve(take()),
      save: async ({ cursor, done, failed, finished }, failures) => {
        this.#prepare(
          `UPDATE holdfast_data_migration_batches SET "cursor" = ?, done = ?, failed = ?, finished = ?
           WHERE migration = ? AND batch = ?`,
        ).run(
          cursor === undefined ? null : JSON.stringify(cursor),
          BigInt(done),
          BigInt(failed),
          finished ? 1n : 0n,
          migration,
          batch,
        );
        const kept = failures.slice(0, Math.max(0, MOST_KEPT - (failed - failures.length)));
        for (const { key, reason } of kept)
          this.#prepare(
            `INSERT INTO holdfast_data_migration_failures VALUES (?, ?, ?, ?)
             ON CONFLICT (migration, batch, key) DO UPDATE SET reason = excluded.reason`,
          ).run(migration, batch, JSON.stringify(key), storable(reason.slice(0, 1000)));
        await Promise.resolve();
      },
    };
  }

  #others(migration: string): Other[] {
    const rows = this.#prepare(
      'SELECT batch, done + failed AS done, plan FROM holdfast_data_migration_batches WHERE migration = ? ORDER BY batch',
    ).all(migration);
    return rows.map(({ batch, done, plan }) => ({
      batch: String(batch),
      done: Number(done),
      plan: planFrom(plan),
    }));
  }

  async giveBack(): Promise<void> {
    await Promise.resolve();
  }

  async end(): Promise<void> {
    this.#session.end();
    await Promise.resolve();
  }

  #prepare(sql: string): StatementSync {
    this.#session.verifyOpen();
    return this.#session.database.prepare(sql);
  }

  get #current(): SqliteTarget {
    if (this.#target === undefined) throw new Error('batch: no table was opened');
    return this.#target;
  }

  #beyond(after: Cursor | undefined): string {
    return after === undefined ? 'true' : `${tupleOf(keyTerms(this.#current))} > ${marksOf(this.#current)}`;
  }

  #values(cursor: Cursor | undefined): SQLInputValue[] {
    return (cursor ?? []).map((text, index) => this.#decode(text, index));
  }

  /** A model's key is text as Prisma has it; a table's is as SQL writes it. */
  #decode(text: string, index: number): SQLInputValue {
    if (!this.#isModel) return decodeKey(text);
    const type = this.#current.types.get(this.#current.key[index] ?? '') ?? '';
    if (/INT/.test(type)) return BigInt(text);
    if (/^(?:DATETIME|TIMESTAMP)$/.test(type)) return toSqlite(new Date(text), this.#session.format);
    return /^(?:REAL|FLOAT|DOUBLE|DECIMAL|NUMERIC)/.test(type) ? Number(text) : text;
  }

  /** Nobody writes until the batch is through: what is read now is not out of date when it is written. */
  #read(
    { select, where }: BatchOptions,
    after: Cursor | undefined,
    size: number,
  ): Awaited<ReturnType<Source['read']>> {
    const target = this.#current;
    const columns = select?.map((name) => `t.${quote.name(name)}`) ?? ['t.*'];
    const statement = this.#prepare(
      `SELECT ${[...columns, ...target.key.map((column) => `t.${quote.name(column)}`)].join(', ')}
       FROM ${target.table} AS t WHERE ${this.#beyond(after)}${alsoWhere(where)}
       ORDER BY ${keyTerms(target).join(', ')} LIMIT ${size}`,
    );
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);
    const found = statement.all(...this.#values(after)) as unknown as SQLOutputValue[][];
    const names = statement.columns().slice(0, -target.key.length);
    const big = names.map(({ type }) => /^(?:BIGINT|UNSIGNED BIG INT|INT8)$/i.test(type ?? ''));
    const rows = found.map(
      (values) =>
        new ModelRow(
          Object.fromEntries(
            names.map(({ name }, at) => [name, plain(values[at] ?? null, big[at] === true)]),
          ),
        ),
    );
    const keys = found.map((values) => values.slice(-target.key.length).map(encodeKey));
    const last = keys.at(-1);
    if (last !== undefined) verifyLeadsOn(this.#session.database, target, last);
    return { rows, keys, last };
  }

  /** @throws Error for a column that the table does not have */
  #writeChanges(changes: readonly Change[], last: Cursor): void {
    const target = this.#current;
    const verifyUnmoved = watchBeyond(this.#session.database, target, this.#values(last));
    const statements = new Map<string, StatementSync>();
    let missing = 0;
    for (const { key, values } of changes) {
      const columns = Object.keys(values);
      if (columns.length === 0) continue;
      const sets = columns.map((column) => {
        if (!target.types.has(column))
          throw new Error(`batch: ${quote.plain(target.table)} has no column "${column}"`);
        return `${quote.name(column)} = ?`;
      });
      const sql = `UPDATE ${target.table} AS t SET ${sets.join(', ')} WHERE ${tupleOf(keyTerms(target))} = ${marksOf(this.#current)}`;
      const statement = statements.get(sql) ?? this.#prepare(sql);
      statements.set(sql, statement);
      const given = columns.map((column) => this.#toColumn(values[column], target.types.get(column)));
      if (Number(statement.run(...given, ...this.#values(key)).changes) !== 1) missing += 1;
    }
    if (missing !== 0)
      throw new Error(
        `batch: ${missing} of ${changes.length} rows of ${quote.plain(target.table)} were not found again by their key (${target.key.join(', ')})`,
      );
    verifyUnmoved();
  }

  /** A field of JSON is always JSON; a column of a table is what the callback was given, a text. */
  #toColumn(value: unknown, type: string | undefined): SQLInputValue {
    if (this.#isModel && type === 'JSONB' && value !== null) return JSON.stringify(value);
    return toSqlite(value, this.#session.format);
  }
}

/** A whole number as JavaScript has it, as long as that is exact. */
function plain(value: SQLOutputValue, isBig: boolean): SQLOutputValue {
  if (typeof value !== 'bigint' || isBig) return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function planFrom(text: SQLOutputValue | undefined): Plan | null {
  return typeof text === 'string' ? (JSON.parse(text) as Plan) : null;
}

function positionOf(row: Record<string, SQLOutputValue>): Kept {
  const { cursor } = row;
  return {
    cursor: typeof cursor === 'string' ? (JSON.parse(cursor) as Cursor) : undefined,
    done: Number(row['done']),
    failed: Number(row['failed']),
    finished: row['finished'] === 1,
    plan: planFrom(row['plan']),
  };
}
