import type { Client } from 'pg';
import { storable } from '../store.ts';
import {
  comparePlans,
  verifyNew,
  workOf,
  type Claims,
  type Difference,
  type Other,
  type Plan,
} from './plan.ts';
import type { Cursor } from './source.ts';

/** How far a batch came. */
export interface Position {
  readonly cursor: Cursor | undefined;
  readonly done: number;
  readonly failed: number;
  readonly finished: boolean;
}

/** A row that was left out. */
export interface Failure {
  readonly key: Cursor;
  readonly reason: string;
}

export const START: Position = { cursor: undefined, done: 0, failed: 0, finished: false };

/** Of the rows that fail so many are kept with their key and reason; all are counted. */
export const MOST_KEPT = 1000;

/** As it is kept. */
export interface Kept extends Position {
  readonly plan: Plan | null;
}

/** Which batch it is. */
export interface Named {
  readonly migration: string;
  readonly batch: string;
  /** It has no name of its own. */
  readonly isNumbered: boolean;
  readonly claims: Claims;
}

export type Begun = Position & { readonly changed?: Difference | undefined };

/** Where a batch's position is kept: beside the data, or in memory for a dry run, which writes no state. */
export interface Positions {
  /**
   * In a transaction: where an earlier attempt left it, if that was the same work.
   *
   * @returns the position, and what is to be told of what changed since
   * @throws Error when the cursor would leave rows out, a finished batch was changed, or rows would be done twice
   */
  begin(plan: Plan): Promise<Begun>;
  /** In a transaction: nobody else gets it until that ends. */
  take(): Promise<Position>;
  save(position: Position, failures: readonly Failure[]): Promise<void>;
}

/**
 * @param others of the same migration; asked for only when it begins with the first row
 * @throws Error when the plan may not go on from there, or not begin
 */
export function beginBy(
  { plan: earlier, ...position }: Kept,
  plan: Plan,
  named: Named,
  others: readonly Other[],
): Begun {
  if (earlier === null || (position.cursor === undefined && !position.finished)) {
    verifyNew(plan, others, named);
    return position;
  }
  const changed = comparePlans(earlier, plan, { ...position, ...named });
  if (earlier.work !== plan.work) named.claims.replaced.set(workOf(earlier), named.batch);
  return { ...position, changed };
}

const COLUMNS = 'cursor, done::float8 AS done, failed::float8 AS failed, finished, plan';

async function read(client: Client, { migration, batch }: Named, how: 'FOR UPDATE' | ''): Promise<Kept> {
  const { rows } = await client.query<Omit<Kept, 'cursor'> & { cursor: Cursor | null }>(
    `SELECT ${COLUMNS} FROM holdfast.data_migration_batches WHERE migration = $1 AND batch = $2 ${how}`,
    [migration, batch],
  );
  const [row] = rows;
  return row === undefined ? { ...START, plan: null } : { ...row, cursor: row.cursor ?? undefined };
}

async function readOthers(client: Client, { migration }: Named): Promise<Other[]> {
  const { rows } = await client.query<Other>(
    `SELECT batch, (done + failed)::float8 AS done, plan FROM holdfast.data_migration_batches
     WHERE migration = $1 ORDER BY batch`,
    [migration],
  );
  return rows;
}

export function inDatabase(client: Client, named: Named): Positions {
  const { migration, batch } = named;
  const take = async (): Promise<Kept> => {
    await client.query(
      'INSERT INTO holdfast.data_migration_batches (migration, batch) VALUES ($1, $2) ON CONFLICT DO NOTHING',
      [migration, batch],
    );
    return await read(client, named, 'FOR UPDATE');
  };
  return {
    async begin(plan) {
      const position = beginBy(await take(), plan, named, await readOthers(client, named));
      await client.query(
        'UPDATE holdfast.data_migration_batches SET plan = $3 WHERE migration = $1 AND batch = $2',
        [migration, batch, JSON.stringify(plan)],
      );
      return position;
    },
    take,
    async save({ cursor, done, failed, finished }, failures) {
      await client.query(
        `UPDATE holdfast.data_migration_batches SET cursor = $3, done = $4, failed = $5, finished = $6
         WHERE migration = $1 AND batch = $2`,
        [migration, batch, cursor === undefined ? null : JSON.stringify(cursor), done, failed, finished],
      );
      const kept = failures.slice(0, Math.max(0, MOST_KEPT - (failed - failures.length)));
      for (const { key, reason } of kept)
        await client.query(
          `INSERT INTO holdfast.data_migration_failures VALUES ($1, $2, $3, $4)
           ON CONFLICT (migration, batch, key) DO UPDATE SET reason = excluded.reason`,
          [migration, batch, JSON.stringify(key), storable(reason.slice(0, 1000))],
        );
    },
  };
}

/**
 * For a dry run: it begins where the run for real would go on, and writes nothing of its own.
 *
 * @param afresh what an earlier attempt left is void
 */
export function inMemory(client: Client, named: Named, afresh: boolean): Positions {
  let current = START;
  return {
    async begin(plan) {
      const { rows } = await client.query<{ there: boolean }>(
        `SELECT to_regclass('holdfast.data_migration_batches') IS NOT NULL AS there`,
      );
      if (afresh || rows[0]?.there !== true) return current;
      const position = beginBy(await read(client, named, ''), plan, named, await readOthers(client, named));
      current = position;
      return position;
    },
    take: async () => await Promise.resolve(current),
    async save(position) {
      current = position;
      await Promise.resolve();
    },
  };
}
