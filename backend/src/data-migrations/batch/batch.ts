import { readFile } from 'node:fs/promises';
import type { Job } from '../protocol.ts';
import type { Watch } from '../watched-client.ts';
import type { Positions } from './cursor.ts';
import type { BatchOptions, BatchResult } from './options.ts';
import { planOf } from './plan.ts';
import { BatchRun, type BatchDatabase } from './run.ts';
import type { Source } from './source.ts';

/** What a batch needs of the migration that it belongs to. */
export interface BatchParts {
  readonly job: Job;
  readonly signal: AbortSignal;
  readonly log: (message: string) => void;
  readonly progress: (done: number, total?: number) => void;
}

export interface Batches {
  run(options: BatchOptions): Promise<BatchResult>;
  /** Rows of all batches of this migration; undefined where it had none. */
  rowsDone(): number | undefined;
  /** Names of batches that are still at work: nobody waited for them. */
  unfinished(): string[];
  end(): Promise<void>;
}

/** The session that all batches of a migration share. */
export interface BatchSession {
  readonly database: BatchDatabase;
  /** A Prisma client on it. */
  readonly watch: Watch;
  open(options: BatchOptions): Promise<Source>;
  positions(batch: string): Positions;
  /** After each batch, however it ended. */
  giveBack(): Promise<void>;
  end(): Promise<void>;
}

/**
 * Makes the `batch` of a migration's context.
 *
 * @param connect is called for the first of them
 */
export function createBatch(parts: BatchParts, connect: () => Promise<BatchSession>): Batches {
  const names = new Set<string>();
  let rows: number | undefined;
  let atWork: string | undefined;
  let session: BatchSession | undefined;
  return {
    async run(options) {
      const name = nameOf(options, parts.job);
      if (names.has(name))
        throw new Error(`batch: two batches are called "${name}"; give each a "name" of its own`);
      // They share one session, and with it one transaction: what one commits would be a part of the other.
      if (atWork !== undefined)
        throw new Error(
          `batch: "${name}" begins while "${atWork}" is at work; put "await" before each batch, one after another`,
        );
      names.add(name);
      atWork = name;
      try {
        session ??= await connect();
        const { database, watch } = session;
        const source = await session.open(options);
        const positions = session.positions(name);
        const { signal, log, progress } = parts;
        const result = await new BatchRun({
          options,
          database,
          watch,
          source,
          plan: planOf(options, source.target, await readFile(parts.job.file, 'utf8')),
          positions,
          signal,
          log,
          progress,
        }).finish();
        rows = (rows ?? 0) + result.done;
        return result;
      } finally {
        atWork = undefined;
        await session?.giveBack().catch(() => {});
      }
    },
    rowsDone: () => rows,
    unfinished: () => (atWork === undefined ? [] : [`batch ${atWork}`]),
    async end() {
      await session?.end();
    },
  };
}

/** @throws Error for options that contradict each other. */
function nameOf(options: BatchOptions, job: Job): string {
  const { table, model, set, rows, up, where, size = 1, targetMs = 1, maxFailures = 0 } = options;
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
  if (!Number.isSafeInteger(size) || size < 1)
    throw new Error(`batch: "size" is ${String(size)}; it is a whole number of rows, 1 or more`);
  if (!(targetMs > 0)) throw new Error(`batch: "targetMs" is ${String(targetMs)}; it is more than 0`);
  if (!(maxFailures >= 0)) throw new Error(`batch: "maxFailures" is ${String(maxFailures)}; it is 0 or more`);
  if (set !== undefined && maxFailures > 0)
    throw new Error(
      'batch: "maxFailures" goes with "up" or "rows"; of a "set" all rows of a batch fail together',
    );
  const name = options.name ?? table ?? model ?? '';
  return job.task === 'down' ? `down ${name}` : name;
}
