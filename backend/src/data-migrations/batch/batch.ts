import { readFile } from 'node:fs/promises';
import { checksumOf } from '../checksum.ts';
import type { Job } from '../protocol.ts';
import type { Watch } from '../watched-client.ts';
import type { Named, Positions } from './cursor.ts';
import type { BatchOptions, BatchResult } from './options.ts';
import { Claims, planOf, type Code } from './plan.ts';
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
  /** Of batches some of whose rows are as an earlier text left them: what to do about it. */
  stale(): string | undefined;
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
  positions(named: Named): Positions;
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
  const claims = new Claims();
  const stale: string[] = [];
  let rows: number | undefined;
  let atWork: string | undefined;
  let session: BatchSession | undefined;
  return {
    async run(options) {
      verifyOptions(options);
      const label = options.name ?? options.table ?? options.model ?? '';
      // They share one session, and with it one transaction: what one commits would be a part of the other.
      if (atWork !== undefined)
        throw new Error(
          `batch: "${label}" begins while "${atWork}" is at work; put "await" before each batch, one after another`,
        );
      atWork = label;
      try {
        session ??= await connect();
        const { database, watch } = session;
        const source = await session.open(options);
        const named = nameOf(options, source, parts.job, claims);
        const { signal, log, progress } = parts;
        const result = await new BatchRun({
          options,
          database,
          watch,
          source,
          plan: planOf(options, source.target, await readCode(parts.job)),
          positions: session.positions(named),
          signal,
          log,
          progress,
        }).finish();
        if (result.isStale) stale.push(`${result.done} rows of "${named.batch}"`);
        rows = (rows ?? 0) + result.done;
        const { done, failed, wasFinished } = result;
        return { done, failed, wasFinished };
      } finally {
        atWork = undefined;
        await session?.giveBack().catch(() => {});
      }
    },
    rowsDone: () => rows,
    stale: () =>
      stale.length === 0
        ? undefined
        : `${stale.join(', ')} were done by an earlier text: --rerun ${parts.job.id} does all of it afresh`,
    unfinished: () => (atWork === undefined ? [] : [`batch ${atWork}`]),
    async end() {
      await session?.end();
    },
  };
}

/** With what it imports; where the engine does not say, its own text. */
async function readCode({ file, code }: Job): Promise<Code> {
  const text = await readFile(file, 'utf8');
  return { text, checksum: code ?? checksumOf(text) };
}

/**
 * By its own name, or by the table's in the database, whichever way the migration writes that; a second one over the same
 * table is numbered.
 *
 * @throws Error for a name that another batch of this run has given itself
 */
function nameOf({ name }: BatchOptions, { target }: Source, { id, task }: Job, claims: Claims): Named {
  const before = task === 'down' ? 'down ' : '';
  let batch = `${before}${name ?? target.resolved}`;
  if (name !== undefined && claims.names.has(batch))
    throw new Error(`batch: two batches are called "${name}"; give each a "name" of its own`);
  for (let number = 2; claims.names.has(batch); number += 1) batch = `${before}${target.resolved}#${number}`;
  claims.names.add(batch);
  return { migration: id, batch, isNumbered: name === undefined, claims };
}

/** @throws Error for options that contradict each other. */
function verifyOptions(options: BatchOptions): void {
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
}
