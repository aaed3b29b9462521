import type { Client } from 'pg';
import { storable } from '../store.ts';
import { comparePlans, type Plan } from './plan.ts';
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

/** Where a batch's position is kept: beside the data, or in memory for a dry run, which writes no state. */
export interface Positions {
  /**
   * In a transaction: where an earlier attempt left it, if that was the same work.
   *
   * @returns the position, and what is to be told of what changed since
   * @throws Error when the cursor would leave rows out, or a finished batch was changed
   */
  begin(plan: Plan): Promise<Position & { readonly changed?: string | undefined }>;
  /** In a transaction: nobody else gets it until that ends. */
  take(): Promise<Position>;
  save(position: Position, failures: readonly Failure[]): Promise<void>;
}

/** @throws Error when the plan may not go on from there. */
export function beginBy(
  { plan: earlier, ...position }: Position & { readonly plan: Plan | null },
  plan: Plan,
  migration: string,
  batch: string,
): Position & { readonly changed: string | undefined } {
  const isFresh = earlier === null || (position.cursor === undefined && !position.finished);
  return {
    ...position,
    changed: isFresh ? undefined : comparePlans(earlier, plan, { ...position, migration, batch }),
  };
}

export function inDatabase(client: Client, migration: string, batch: string): Positions {
  const take = async (): Promise<Position & { plan: Plan | null }> => {
    await client.query(
      'INSERT INTO holdfast.data_migration_batches (migration, batch) VALUES ($1, $2) ON CONFLICT DO NOTHING',
      [migration, batch],
    );
    const { rows } = await client.query<
      Omit<Position, 'cursor'> & { cursor: Cursor | null; plan: Plan | null }
    >(
      `SELECT cursor, done::float8 AS done, failed::float8 AS failed, finished, plan
       FROM holdfast.data_migration_batches WHERE migration = $1 AND batch = $2 FOR UPDATE`,
      [migration, batch],
    );
    const [row] = rows;
    return row === undefined ? { ...START, plan: null } : { ...row, cursor: row.cursor ?? undefined };
  };
  return {
    async begin(plan) {
      const position = beginBy(await take(), plan, migration, batch);
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

export function inMemory(): Positions {
  let current = START;
  const take = async (): Promise<Position> => await Promise.resolve(current);
  return {
    begin: take,
    take,
    async save(position) {
      current = position;
      await Promise.resolve();
    },
  };
}
