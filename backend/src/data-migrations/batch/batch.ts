import type { PrismaClient } from '../../generated/client.ts';
import { openPrisma } from '../prisma-client.ts';
import type { Job } from '../protocol.ts';
import { Session } from '../session.ts';
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
  end(): Promise<void>;
}

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
      const { signal, log, progress } = parts;
      const result = await new BatchRun({
        options,
        session,
        prisma,
        source,
        positions,
        signal,
        log,
        progress,
      }).finish();
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
