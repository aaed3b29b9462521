import { inBatch } from '../interactive.ts';
import { describeError } from '../refusal.ts';
import { TransactionLost } from '../transaction-lost.ts';
import { inScope, refuseUnfinished, type Watch } from '../watched-client.ts';
import { readChanges } from './changes.ts';
import type { Failure, Position, Positions } from './cursor.ts';
import type { BatchOptions, BatchResult } from './options.ts';
import { isPassing, LARGEST_IN_MEMORY, LARGEST_ON_SERVER, nextSize, RETRIES } from './pace.ts';
import type { Plan } from './plan.ts';
import { findRefused, isCount, isOfAValue } from './refused.ts';
import type { Chunk, Cursor, Source } from './source.ts';
import type { Range } from './update-range.ts';
import { describe, isThenable } from './values.ts';
import type { Change } from './write-changes.ts';

const DEFAULT_SIZE = 1000;
const DEFAULT_TARGET_MS = 500;

/** What a batch asks of its database; all of it on one session. */
export interface BatchDatabase {
  /** In a transaction, or in a savepoint of the one that is open. */
  transaction<T>(work: () => Promise<T>): Promise<T>;
  /** Waits while the database is busy with others. */
  hold(signal: AbortSignal): Promise<void>;
  /** At the beginning of each batch's transaction. */
  limit(): Promise<void>;
  /** Changes the next rows by one statement; `last` is undefined when there was none any more. */
  updateRange(range: Range): Promise<{ count: number; last: Cursor | undefined }>;
  /** @param last how far the batch reaches */
  writeChanges(changes: readonly Change[], last: Cursor): Promise<void>;
}

/** Rows of a batch, and how far that reaches. */
interface Work extends Chunk {
  readonly last: Cursor;
}

/** What one batch works with; it owns none of it. */
export interface RunParts {
  readonly options: BatchOptions;
  readonly database: BatchDatabase;
  /** On the same session. */
  readonly watch: Watch;
  readonly source: Source;
  readonly plan: Plan;
  readonly positions: Positions;
  readonly signal: AbortSignal;
  readonly log: (message: string) => void;
  readonly progress: (done: number, total?: number) => void;
}

/** Goes through the rows from where the batch was left, one transaction after the other. */
export class BatchRun {
  readonly #parts: RunParts;

  constructor(parts: RunParts) {
    this.#parts = parts;
  }

  /** @returns also whether some rows are as an earlier text of the migration left them */
  async finish(): Promise<BatchResult & { readonly isStale: boolean }> {
    const { signal, log, progress, database } = this.#parts;
    const { positions, plan } = this.#parts;
    const first = await database.transaction(async () => await positions.begin(plan));
    if (first.changed !== undefined) log(first.changed.told);
    const isStale = first.changed?.isStale === true;
    if (first.finished) return { done: first.done, failed: first.failed, wasFinished: true, isStale };
    if (first.cursor !== undefined)
      log(`goes on after ${first.cursor.join(', ')}: ${first.done} rows were done`);
    const left = await this.#parts.source.estimate(first.cursor);
    const total = left === undefined ? undefined : left + first.done + first.failed;
    let size = this.#parts.options.size ?? DEFAULT_SIZE;
    let retries = 0;
    const largest = this.#parts.options.set === undefined ? LARGEST_IN_MEMORY : LARGEST_ON_SERVER;
    for (;;) {
      signal.throwIfAborted();
      await database.hold(signal);
      const startedAt = performance.now();
      try {
        const position = await database.transaction(async () => await this.#step(size));
        retries = 0;
        const { done, failed, finished } = position;
        progress(done + failed, finished ? done + failed : total);
        if (finished) return { done, failed, wasFinished: false, isStale };
        size = nextSize(
          size,
          performance.now() - startedAt,
          this.#parts.options.targetMs ?? DEFAULT_TARGET_MS,
          largest,
        );
      } catch (error) {
        if (!isPassing(error) || (retries += 1) > RETRIES) throw error;
        size = Math.max(1, Math.floor(size / 2));
        log(`${describeError(error)}; again with ${size} rows`);
        await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** Math.min(retries, 6)));
      }
    }
  }

  /** One batch, within a transaction: the rows, and how far they reach. */
  async #step(size: number): Promise<Position> {
    await this.#parts.database.limit();
    const position = await this.#parts.positions.take();
    if (this.#parts.options.set !== undefined)
      return await this.#stepBySql(position, size, this.#parts.options.set);
    const chunk = await this.#parts.source.read(position.cursor, size);
    const failures: Failure[] = [];
    if (chunk.last !== undefined) await this.#work({ ...chunk, last: chunk.last }, failures);
    const next: Position = {
      cursor: chunk.last ?? position.cursor,
      done: position.done + chunk.rows.length - failures.length,
      failed: position.failed + failures.length,
      // Not when there were fewer than asked for: some may have come in the meantime.
      finished: chunk.last === undefined,
    };
    this.#refuseTooMany(next.failed, failures);
    await this.#parts.positions.save(next, failures);
    return next;
  }

  async #stepBySql(position: Position, size: number, set: string): Promise<Position> {
    const where = typeof this.#parts.options.where === 'string' ? this.#parts.options.where : undefined;
    const { count, last } = await this.#parts.database.updateRange({
      set,
      where,
      after: position.cursor,
      size,
    });
    const next = {
      ...position,
      cursor: last ?? position.cursor,
      done: position.done + count,
      finished: last === undefined,
    };
    await this.#parts.positions.save(next, []);
    return next;
  }

  /** Does the rows together; where they fail and some may, half by half, until the ones are found that do. */
  async #work(chunk: Work, failures: Failure[]): Promise<void> {
    if (chunk.rows.length === 0) return;
    if ((this.#parts.options.maxFailures ?? 0) === 0) {
      await inScope(async () => await inBatch(async () => await this.#apply(chunk)));
      return;
    }
    try {
      await this.#parts.database.transaction(
        async () => await inScope(async () => await inBatch(async () => await this.#apply(chunk))),
      );
    } catch (error) {
      if (isPassing(error) || error instanceof TransactionLost) throw error;
      if (chunk.rows.length === 1) {
        failures.push({ key: chunk.keys[0] ?? [], reason: describeError(error) });
        return;
      }
      const middle = Math.ceil(chunk.rows.length / 2);
      const { rows, keys, last } = chunk;
      await this.#work({ rows: rows.slice(0, middle), keys: keys.slice(0, middle), last }, failures);
      await this.#work({ rows: rows.slice(middle), keys: keys.slice(middle), last }, failures);
    }
  }

  async #apply(chunk: Work): Promise<void> {
    const changes: Change[] = [];
    const add = (values: unknown, index: number): void => {
      const [key, row] = [chunk.keys[index], chunk.rows[index]];
      if (key === undefined || row === undefined) return;
      this.#named(key, () => {
        const columns = readChanges(this.#parts.source, row, values);
        if (columns !== undefined) changes.push({ key, values: columns });
      });
    };
    const { watch } = this.#parts;
    watch.forget();
    const { rows, up } = this.#parts.options;
    const copies = chunk.rows.map((row) => row.copy());
    if (rows !== undefined) {
      const all: unknown = (await rows(copies, watch.prisma)) ?? [];
      if (typeof all !== 'number' && !Array.isArray(all) && !isCount(all))
        throw new Error(
          `batch: what "rows" returned ${describe(all)}; give a list with the changes of each row`,
        );
      const list: unknown[] = Array.isArray(all) ? all : [];
      // Fewer would belong to other rows than they were made for.
      if (list.length !== 0 && list.length !== copies.length)
        throw new Error(
          `batch: "rows" returned ${list.length} changes for ${copies.length} rows; give one for each, undefined for none`,
        );
      list.forEach(add);
    } else if (up !== undefined) {
      for (const [index, copy] of copies.entries()) {
        try {
          const result = up(copy, this.#parts.watch.prisma);
          // Prisma's own promises are no Promise. Waiting for what is none costs a turn of the loop for each row.
          add(isThenable(result) ? await result : result, index);
        } catch (error) {
          throw this.#ofRow(error, chunk.keys[index] ?? []);
        }
      }
    }
    refuseUnfinished(watch.unfinished());
    await this.#write(changes, chunk.last);
  }

  /** @throws what the database says of a value, with the row that it is of */
  async #write(changes: readonly Change[], last: Cursor): Promise<void> {
    const { database } = this.#parts;
    try {
      await database.writeChanges(changes, last);
    } catch (error) {
      // Where some may fail they are found, and told with their key, by themselves.
      if (!isOfAValue(error) || (this.#parts.options.maxFailures ?? 0) > 0) throw error;
      const { key, said } = await findRefused(
        changes,
        error,
        async (some) => await database.writeChanges(some, last),
      );
      throw this.#ofRow(said, key);
    }
  }

  /** @throws what `work` throws, with the row's key before it. */
  #named<T>(key: Cursor, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw this.#ofRow(error, key);
    }
  }

  #ofRow(error: unknown, key: Cursor): unknown {
    if (isPassing(error) || error instanceof RowError) return error;
    const names = this.#parts.source.target.key.map((column, at) => `${column}=${key[at]}`).join(', ');
    return new RowError(`row ${names}: ${describeError(error)}`, { cause: error });
  }

  #refuseTooMany(failed: number, failures: readonly Failure[]): void {
    const most = this.#parts.options.maxFailures ?? 0;
    if (failed <= most) return;
    const [first] = failures;
    throw new Error(
      `batch: ${failed} rows failed, and ${most} may; the first of the last ones: ${first?.key.join(', ')}: ${first?.reason}`,
    );
  }
}

/** A failure that says already which row it is of. */
class RowError extends Error {}
