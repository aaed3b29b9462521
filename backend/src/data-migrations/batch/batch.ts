import type { PrismaClient } from '../../generated/client.ts';
import { openPrisma } from '../prisma-client.ts';
import type { Job } from '../protocol.ts';
import { describeError } from '../refusal.ts';
import { Session } from '../session.ts';
import { inDatabase, inMemory, type Failure, type Position, type Positions } from './cursor.ts';
import { Health } from './health.ts';
import type { BatchOptions, BatchResult, BatchRow, RowChanges } from './options.ts';
import { isPassing, LARGEST_IN_MEMORY, LARGEST_ON_SERVER, nextSize, RETRIES } from './pace.ts';
import { openModel, openTable, type Chunk, type Source } from './source.ts';
import { updateRange } from './update-range.ts';
import { writeChanges, type Change } from './write-changes.ts';

/** What a batch needs of the migration that it belongs to. */
export interface BatchParts {
  readonly job: Job;
  /** The session of a dry run, which takes everything back. */
  readonly dry: Session | undefined;
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly log: (message: string) => void;
  readonly progress: (done: number, total?: number) => void;
}

export interface Batches {
  run(options: BatchOptions): Promise<BatchResult>;
  /** Rows of all batches of this migration; undefined where it had none. */
  rowsDone(): number | undefined;
  end(): Promise<void>;
}

const DEFAULT_SIZE = 1000;
const DEFAULT_TARGET_MS = 500;
// A batch that waits for a lock keeps others waiting behind it.
const LIMITS = `SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '60s'`;

/** Makes the `batch` of a migration's context. All batches of a migration share one session. */
export function createBatch(parts: BatchParts): Batches {
  const names = new Set<string>();
  let rows: number | undefined;
  let own: { session: Session; prisma: PrismaClient } | undefined;
  const open = async (): Promise<{ session: Session; prisma: PrismaClient }> => {
    if (own !== undefined) return own;
    const session = parts.dry ?? (await Session.open(parts.job.url, parts.job.id));
    own = { session, prisma: await openPrisma(parts.directory, session.asPool()) };
    return own;
  };
  return {
    async run(options) {
      const name = nameOf(options, parts.job);
      if (names.has(name))
        throw new Error(`batch: two batches are called "${name}"; give each a "name" of its own`);
      names.add(name);
      const { session, prisma } = await open();
      const source =
        options.table === undefined
          ? await openModel(session, prisma, options)
          : await openTable(session, options);
      const positions = parts.dry ? inMemory() : inDatabase(session.client, parts.job.id, name);
      const result = await new Run(parts, options, session, prisma, source, positions).finish();
      rows = (rows ?? 0) + result.done;
      return result;
    },
    rowsDone: () => rows,
    async end() {
      if (!parts.dry) await own?.session.end();
    },
  };
}

/** @throws Error for options that contradict each other. */
function nameOf(options: BatchOptions, job: Job): string {
  const { table, model, set, rows, up, where } = options;
  if ((table === undefined) === (model === undefined))
    throw new Error('batch: give it either a "table" or a "model"');
  if ([set, rows, up].filter((one) => one !== undefined).length !== 1)
    throw new Error('batch: give it one of "set", "rows" and "up"');
  if (set !== undefined && model !== undefined)
    throw new Error('batch: "set" is SQL; it goes with a "table"');
  if (typeof where === 'string' && model !== undefined)
    throw new Error('batch: with a "model", "where" is a Prisma filter; SQL goes with a "table"');
  if (typeof where === 'object' && table !== undefined)
    throw new Error('batch: with a "table", "where" is SQL; a Prisma filter goes with a "model"');
  const name = options.name ?? table ?? model ?? '';
  return job.task === 'down' ? `down ${name}` : name;
}

class Run {
  readonly #parts: BatchParts;
  readonly #options: BatchOptions;
  readonly #session: Session;
  readonly #prisma: PrismaClient;
  readonly #source: Source;
  readonly #positions: Positions;

  constructor(
    parts: BatchParts,
    options: BatchOptions,
    session: Session,
    prisma: PrismaClient,
    source: Source,
    positions: Positions,
  ) {
    this.#parts = parts;
    this.#options = options;
    this.#session = session;
    this.#prisma = prisma;
    this.#source = source;
    this.#positions = positions;
  }

  async finish(): Promise<BatchResult> {
    const { signal, log, progress } = this.#parts;
    const health = new Health(this.#session.client, log);
    const first = await this.#session.transaction(async () => await this.#positions.take());
    if (first.finished) return { done: first.done, failed: first.failed, wasFinished: true };
    if (first.cursor !== undefined)
      log(`goes on after ${first.cursor.join(', ')}: ${first.done} rows were done`);
    const left = await this.#source.estimate(first.cursor);
    const total = left === undefined ? undefined : left + first.done + first.failed;
    let size = this.#options.size ?? DEFAULT_SIZE;
    let retries = 0;
    const largest = this.#options.set === undefined ? LARGEST_IN_MEMORY : LARGEST_ON_SERVER;
    for (;;) {
      signal.throwIfAborted();
      await health.hold(signal);
      const startedAt = performance.now();
      try {
        const position = await this.#session.transaction(async () => await this.#step(size));
        retries = 0;
        const { done, failed, finished } = position;
        progress(done + failed, finished ? done + failed : total);
        if (finished) return { done, failed, wasFinished: false };
        size = nextSize(
          size,
          performance.now() - startedAt,
          this.#options.targetMs ?? DEFAULT_TARGET_MS,
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
    await this.#session.client.query(LIMITS);
    const position = await this.#positions.take();
    if (this.#options.set !== undefined) return await this.#stepBySql(position, size, this.#options.set);
    const chunk = await this.#source.read(position.cursor, size);
    const failures: Failure[] = [];
    await this.#work(chunk, failures);
    const next: Position = {
      cursor: chunk.keys.at(-1) ?? position.cursor,
      done: position.done + chunk.rows.length - failures.length,
      failed: position.failed + failures.length,
      // Not when there were fewer than asked for: some may have come in the meantime.
      finished: chunk.rows.length === 0,
    };
    this.#refuseTooMany(next.failed, failures);
    await this.#positions.save(next, failures);
    return next;
  }

  async #stepBySql(position: Position, size: number, set: string): Promise<Position> {
    const where = typeof this.#options.where === 'string' ? this.#options.where : undefined;
    const { count, last } = await updateRange(this.#session.client, this.#source.target, {
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
    await this.#positions.save(next, []);
    return next;
  }

  /** Does the rows together; where they fail and some may, half by half, until the ones are found that do. */
  async #work(chunk: Chunk, failures: Failure[]): Promise<void> {
    if (chunk.rows.length === 0) return;
    if ((this.#options.maxFailures ?? 0) === 0) {
      await this.#apply(chunk);
      return;
    }
    try {
      await this.#session.transaction(async () => await this.#apply(chunk));
    } catch (error) {
      if (isPassing(error)) throw error;
      if (chunk.rows.length === 1) {
        failures.push({ key: chunk.keys[0] ?? [], reason: describeError(error) });
        return;
      }
      const middle = Math.ceil(chunk.rows.length / 2);
      await this.#work({ rows: chunk.rows.slice(0, middle), keys: chunk.keys.slice(0, middle) }, failures);
      await this.#work({ rows: chunk.rows.slice(middle), keys: chunk.keys.slice(middle) }, failures);
    }
  }

  async #apply(chunk: Chunk): Promise<void> {
    const changes: Change[] = [];
    const add = (values: RowChanges | undefined | void, index: number): void => {
      const key = chunk.keys[index];
      if (values && key)
        changes.push({
          key,
          values: Object.fromEntries(
            Object.entries(values).map(([name, value]) => [this.#source.columnOf(name), value]),
          ),
        });
    };
    const { rows, up } = this.#options;
    if (rows !== undefined) {
      const all = (await rows(chunk.rows, this.#prisma)) ?? [];
      if (all.length > chunk.rows.length)
        throw new Error(`batch: "rows" returned ${all.length} changes for ${chunk.rows.length} rows`);
      all.forEach(add);
    } else if (up !== undefined) {
      for (const [index, row] of chunk.rows.entries()) add(await this.#one(up, row, chunk, index), index);
    }
    await writeChanges(this.#session.client, this.#source.target, changes);
  }

  async #one(
    up: NonNullable<BatchOptions['up']>,
    row: BatchRow,
    chunk: Chunk,
    index: number,
  ): Promise<RowChanges | void> {
    try {
      const result = up(row, this.#prisma);
      return result instanceof Promise ? await result : result;
    } catch (error) {
      if (isPassing(error)) throw error;
      const key = this.#source.target.key
        .map((column, at) => `${column}=${chunk.keys[index]?.[at]}`)
        .join(', ');
      throw new Error(`row ${key}: ${describeError(error)}`, { cause: error });
    }
  }

  #refuseTooMany(failed: number, failures: readonly Failure[]): void {
    const most = this.#options.maxFailures ?? 0;
    if (failed <= most) return;
    const [first] = failures;
    throw new Error(
      `batch: ${failed} rows failed, and ${most} may; the first of the last ones: ${first?.key.join(', ')}: ${first?.reason}`,
    );
  }
}
