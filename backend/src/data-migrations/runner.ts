import type { PrismaClient } from '../generated/client.ts';
import { untilAborted } from './interruption.ts';
import type { DataMigration } from './migration.ts';
import { describeError, EXIT, Refusal } from './refusal.ts';
import { withEntry, type Registry, type Status } from './registry.ts';
import type { Report } from './reporter.ts';

/** What a run needs; it owns none of it. */
export interface RunParts {
  readonly prisma: PrismaClient;
  readonly signal: AbortSignal;
  readonly report: Report;
  /** Makes the registry durable. */
  save(registry: Registry): Promise<void>;
}

/**
 * Runs the migrations one after another. Each is recorded as soon as it ended, well or badly; the first failure stops
 * the run, and what came before stays recorded. An interrupted one leaves no record: it runs again from its start.
 *
 * @throws Refusal that names the migration and the cause.
 */
export async function runMigrations(
  migrations: readonly DataMigration[],
  before: Registry,
  parts: RunParts,
): Promise<void> {
  let registry = before;
  for (const migration of migrations) {
    const { id } = migration;
    parts.report({ type: 'migration-started', id });
    const startedAt = performance.now();
    const outcome = await attempt(migration, parts);
    const executionTimeMs = Math.round(performance.now() - startedAt);
    const appliedAt = new Date().toISOString();
    registry = withEntry(registry, { id, appliedAt, executionTimeMs, status: outcome.status });
    await record(id, registry, outcome.failure, parts);
    parts.report({ type: 'migration-finished', id, status: outcome.status, executionTimeMs });
    if (outcome.failure !== undefined) throw outcome.failure;
  }
}

interface Outcome {
  readonly status: Status;
  readonly failure?: Refusal;
}

async function attempt(migration: DataMigration, { prisma, signal, report }: RunParts): Promise<Outcome> {
  const { id } = migration;
  const context = { signal, log: (message: string) => report({ type: 'migration-log', id, message }) };
  try {
    signal.throwIfAborted();
    if (!(await untilAborted(isNeeded(migration, prisma), signal))) return { status: 'not-needed' };
    await untilAborted((async () => await migration.up(prisma, context))(), signal);
    return { status: 'success' };
  } catch (error) {
    if (signal.aborted) throw describeInterruption(id, signal.reason);
    return { status: 'failed', failure: describeFailure(id, error) };
  }
}

/** Whether there is something to do. @throws whatever `shouldRun` throws. */
export async function isNeeded(migration: DataMigration, prisma: PrismaClient): Promise<boolean> {
  return (await migration.shouldRun?.(prisma)) ?? true;
}

async function record(
  id: string,
  registry: Registry,
  failure: Refusal | undefined,
  parts: RunParts,
): Promise<void> {
  try {
    await parts.save(registry);
  } catch (error) {
    const earlier = failure === undefined ? '' : ` (${failure.message})`;
    throw new Refusal(
      EXIT.failed,
      `cannot record data migration ${id}: ${describeError(error)}${earlier}. It counts as not applied; make the registry writable, then run it again`,
      { cause: error },
    );
  }
}

function describeFailure(id: string, error: unknown): Refusal {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const line = new RegExp(String.raw`/${id}\.ts:(\d+)`).exec(stack)?.[1];
  const where = line === undefined ? '' : ` (${id}.ts:${line})`;
  return new Refusal(
    EXIT.failed,
    `cannot apply data migration ${id}: ${describeError(error)}${where}${advice()}`,
    { cause: error },
  );
}

function describeInterruption(id: string, reason: unknown): Refusal {
  return new Refusal(
    reason instanceof Refusal ? reason.exitCode : EXIT.failed,
    `cannot finish data migration ${id}: ${describeError(reason)}. It is not recorded; the next run starts it afresh`,
    { cause: reason },
  );
}

/** Inside an update everything is restored after a failure, so there is nothing to run again. */
function advice(): string {
  return process.env['HOLDFAST_RUN']
    ? ''
    : '. The earlier ones stay recorded; mend the cause, then run it again';
}
