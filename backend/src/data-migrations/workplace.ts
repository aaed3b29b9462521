import type { PrismaClient } from '../generated/client.ts';
import type { ColumnSteps, ColumnTools } from './add-column.ts';
import type { BatchParts, BatchSession } from './batch/batch.ts';
import type { Done, Job } from './protocol.ts';

/** What a migration works with; whoever made it ends it. */
export interface Tools {
  readonly client: PrismaClient;
  openBatches(parts: BatchParts): Promise<BatchSession>;
  /** How `addColumnWithDefault` does it here. */
  columnSteps(tools: ColumnTools): ColumnSteps;
}

/** How one kind of database runs a migration; in the migration's own process. */
export interface Workplace {
  /** Runs a file of SQL, all or nothing. */
  runSql(job: Job, text: string): Promise<Done>;
  /**
   * Runs code with a client on the database.
   *
   * @param directory the backend's package
   * @param fail ends the process; for what is found out beside the migration
   */
  runCode(
    job: Job,
    directory: string,
    fail: (error: unknown) => void,
    run: (tools: Tools) => Promise<Done>,
  ): Promise<Done>;
}
