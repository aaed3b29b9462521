import type { PrismaClient } from '../generated/client.ts';
import type { ColumnOptions } from './add-column.ts';
import type { BatchOptions, BatchResult, BatchRow } from './batch/options.ts';

/** What a migration may use besides the database. Every part is optional to use; `up(prisma)` alone is complete. */
export interface MigrationContext {
  /** The same client that `up` gets as its first argument. */
  readonly prisma: PrismaClient;
  /** True while the database takes everything back afterwards: do nothing outside of it. */
  readonly dryRun: boolean;
  /** Aborted by Ctrl-C, SIGTERM or the loss of the lock. Long migrations look at it between batches. */
  readonly signal: AbortSignal;
  /** Tells the operator how far it is; one line, no markup. */
  readonly log: (message: string) => void;
  /** The same for rows: rate and time left are worked out from it. */
  readonly progress: (done: number, total?: number) => void;
  /**
   * Works through a table in the order of its key, a batch a transaction, and remembers in the same transaction how far
   * it came: killed at any instant, no row is done twice and none is left out.
   */
  readonly batch: <Row extends object = BatchRow>(options: BatchOptions<Row>) => Promise<BatchResult>;
  /**
   * Adds a column that must have a value, while others read and write the table: nullable, filled in batches, then NOT
   * NULL, for which nobody writes on SQLite. Killed at any instant, it is simply run again.
   */
  readonly addColumnWithDefault: (options: ColumnOptions) => Promise<BatchResult>;
}

/** What `up` or `down` may return, or nothing. `success: false` is a failure, however politely it was returned. */
export interface MigrationResult {
  readonly success?: boolean;
  readonly recordsProcessed?: number;
  readonly error?: unknown;
  readonly metadata?: unknown;
}

/** What `verify` may return: anything but `true`, or a report that says it is well, fails the migration. */
export interface VerificationReport {
  readonly ok: boolean;
  /** What was counted and what was found: shown to the operator. */
  readonly [fact: string]: unknown;
}

/** What a file in `prisma/data-migrations` exports as `migration` (or as default). */
export interface DataMigration {
  /** Equals the file's name without `.ts`; it is what the registry remembers. */
  readonly id: string;
  /** One sentence: what is true afterwards. */
  readonly description?: string;
  /** False: there is nothing to do here, which is recorded as "not-needed". Must only read. */
  shouldRun?(prisma: PrismaClient, context: MigrationContext): Promise<boolean> | boolean;
  /**
   * Must be safe to run again from the start: an interrupted or failed one is. `context.batch` resumes by itself.
   *
   * @returns a MigrationResult, or anything else, which is no failure
   */
  up(prisma: PrismaClient, context: MigrationContext): Promise<unknown>;
  /** Takes back what `up` did. Without it the migration cannot be rolled back. */
  down?(prisma: PrismaClient, context: MigrationContext): Promise<unknown>;
  /** Looks whether what `up` promised is true. False fails the migration, and the update with it. */
  verify?(prisma: PrismaClient): Promise<boolean | VerificationReport> | boolean | VerificationReport;
  /** Free text for people. */
  readonly version?: string;
  /** False: there is a `down`, but it must not be used any more. */
  readonly rollbackable?: boolean;
  /** The release that brought it: an appliance that comes from before it stops there on its way. */
  readonly introducedIn?: string;
  /** A schema migration that may only be deployed once this one is done here: one that drops what this one reads. */
  readonly requiredBefore?: string;
}
