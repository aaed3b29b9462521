import type { PrismaClient } from '../generated/client.ts';

/** What a migration may use besides the database. */
export interface MigrationContext {
  /** Tells the operator how far it is; one line, no markup. */
  readonly log: (message: string) => void;
  /** Aborted by Ctrl-C, SIGTERM or the loss of the lock. Long migrations look at it between batches. */
  readonly signal: AbortSignal;
}

/** What a file in `prisma/data-migrations` exports as `migration`. */
export interface DataMigration {
  /** Equals the file's name without `.ts`; it is what the registry remembers. */
  readonly id: string;
  /** One sentence: what is true afterwards. */
  readonly description?: string;
  /** False: there is nothing to do here, which is recorded as "not-needed". Must only read. */
  shouldRun?(prisma: PrismaClient): Promise<boolean> | boolean;
  /** Must be safe to run again from the start: an interrupted or failed one is. */
  up(prisma: PrismaClient, context: MigrationContext): Promise<unknown>;
}
