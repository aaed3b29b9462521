import { openPrisma } from '../prisma-client.ts';
import type { Job } from '../protocol.ts';
import { Session } from '../session.ts';
import { watchClient, type Watch } from '../watched-client.ts';
import { inDatabase, inMemory } from './cursor.ts';
import type { BatchOptions, BatchResult } from './options.ts';
import { BatchRun } from './run.ts';
import { openModel, openTable } from './source.ts';

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
  /** Names of batches that are still at work: nobody waited for them. */
  unfinished(): string[];
  end(): Promise<void>;
}

/** Makes the `batch` of a migration's context. All batches of a migration share one session. */
export function createBatch(parts: BatchParts): Batches {
  const names = new Set<string>();
  let rows: number | undefined;
  let atWork: string | undefined;
  let own: { session: Session; watch: Watch } | undefined;
  const open = async (): Promise<{ session: Session; watch: Watch }> => {
    if (own !== undefined) return own;
    const session = parts.dry ?? (await Session.open(parts.job.url));
    own = { session, watch: watchClient(await openPrisma(parts.directory, session.asPool())) };
    return own;
  };
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
      let giveBack = async (): Promise<void> => {};
      try {
        const { session, watch } = await open();
        if (parts.dry) giveBack = await keepLimits(parts.dry);
        const { prisma } = watch;
        const source =
          options.table === undefined
            ? await openModel(session, prisma, options)
            : await openTable(session, options);
        const positions = parts.dry ? inMemory() : inDatabase(session.client, parts.job.id, name);
        const { signal, log, progress } = parts;
        const result = await new BatchRun({
          options,
          session,
          watch,
          source,
          positions,
          signal,
          log,
          progress,
        }).finish();
        rows = (rows ?? 0) + result.done;
        return result;
      } finally {
        atWork = undefined;
        await giveBack().catch(() => {});
      }
    },
    rowsDone: () => rows,
    unfinished: () => (atWork === undefined ? [] : [`batch ${atWork}`]),
    async end() {
      if (!parts.dry) await own?.session.end();
    },
  };
}

/** A dry run has one transaction for everything: what limits a batch must not limit what comes after it. */
async function keepLimits({ client }: Session): Promise<() => Promise<void>> {
  const { rows } = await client.query<{ lock: string; statement: string }>(
    `SELECT current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement`,
  );
  const [{ lock, statement } = { lock: '0', statement: '0' }] = rows;
  return async () => {
    await client.query(
      `SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true)`,
      [lock, statement],
    );
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
