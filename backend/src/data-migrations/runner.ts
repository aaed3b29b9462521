import type { MigrationLock } from './database.ts';
import type { MigrationFile } from './discovery.ts';
import type { Inspection } from './inspection.ts';
import type { Limits } from './limits.ts';
import type { Done, Progress } from './protocol.ts';
import { describeError, EXIT, Refusal } from './refusal.ts';
import type { Report } from './reporter.ts';
import { watchSilence } from './silence.ts';
import { transition, type State } from './states.ts';
import { LEASE_SECONDS, type Change, type Store } from './store.ts';
import { runMigrationFile } from './worker-process.ts';

/** A migration that was found fit to run. */
export interface Checked {
  readonly file: MigrationFile;
  readonly inspection: Inspection;
  readonly hasDown: boolean;
  /** The schema migration that must not run before it. */
  readonly requiredBefore: string | undefined;
  readonly state: State;
}

/** What a run needs; it owns none of it. */
export interface RunParts {
  readonly lock: MigrationLock;
  readonly url: string;
  readonly limits: Limits;
  readonly signal: AbortSignal;
  readonly report: Report;
  /** Brings registry.json to what the table says, and says so in the table. */
  exportRegistry(): Promise<void>;
}

/**
 * Runs migrations one after another. Each is recorded as soon as it ended, well or badly: first in the database, then in
 * the file. The first failure stops the run, and what came before stays recorded. An interrupted one stays RUNNING, and
 * the next run goes on with it.
 *
 * @throws Refusal that names the migration and the cause.
 */
export async function runMigrations(migrations: readonly Checked[], parts: RunParts): Promise<void> {
  for (const migration of migrations) await runOne(migration, parts);
}

async function runOne({ file, inspection, requiredBefore, state }: Checked, parts: RunParts): Promise<void> {
  const { id } = file;
  const { lock, report, signal } = parts;
  const { store } = lock;
  const running = transition(id, state, 'start');
  await verifyNotHalfTakenBack(store, id);
  report({ type: 'migration-started', id, resumes: state === 'RUNNING' });
  await store.saveState(id, { state: running, checksum: inspection.checksum });
  const startedAt = performance.now();
  // In a new installation there is nothing that it could move: the schema never had it when there could be rows.
  const isTooLate = requiredBefore !== undefined && (await store.wasAppliedBefore(requiredBefore));
  if (isTooLate)
    report({
      ...{ type: 'migration-log', id },
      message: `not needed: ${requiredBefore}, which it is to come before, was applied before this database had any data migration`,
    });
  const outcome: Outcome = isTooLate
    ? { done: { status: 'not-needed' } }
    : await attempt('up', { file, inspection }, parts);
  const executionTimeMs = Math.round(performance.now() - startedAt);
  if (signal.aborted) throw describeInterruption(id, signal.reason);
  const action =
    'failure' in outcome ? 'fail' : outcome.done.status === 'success' ? 'complete' : 'find-needless';
  const change: Change = {
    state: transition(id, running, action),
    checksum: inspection.checksum,
    finishedAt: new Date(),
    durationMs: executionTimeMs,
    ...('failure' in outcome
      ? { reason: describeError(outcome.failure) }
      : { rows: outcome.done.rows ?? null, result: outcome.done.result }),
  };
  await record(id, change, parts);
  const status = 'failure' in outcome ? 'failed' : outcome.done.status;
  const rows = 'failure' in outcome ? undefined : outcome.done.rows;
  report({
    type: 'migration-finished',
    id,
    status,
    executionTimeMs,
    ...(rows === undefined ? {} : { rows }),
  });
  if ('failure' in outcome) throw describeFailure(id, outcome.failure);
}

/** @throws Refusal where nobody can tell what of it is done: before anything of it is written down. */
export async function verifyNotHalfTakenBack(store: Store, id: string): Promise<void> {
  if (!(await store.isHalfTakenBack(id))) return;
  throw new Refusal(
    EXIT.failed,
    `cannot apply data migration ${id}: its down() ended half-way. --down ${id} goes on with that, --rerun ${id} does all of up() afresh`,
  );
}

/** @throws Refusal for one whose up() failed: rows that it never did would be taken back with the others. */
export async function verifyDone(store: Store, id: string): Promise<void> {
  if (await store.isHalfTakenBack(id)) return;
  throw new Refusal(
    EXIT.refused,
    `cannot take data migration ${id} back: its up() ended half-way, and down() would take back what that never did. Nothing was changed. Mend the cause and go on with it (--retry ${id}), then --down ${id}; or leave it as it is: --skip ${id} --reason "..."`,
  );
}

/** Takes a completed migration back. @throws Refusal that names the cause; it then counts as failed. */
export async function takeBack({ file, inspection, state }: Checked, parts: RunParts): Promise<void> {
  const { id } = file;
  const pending = transition(id, state, 'take-back');
  parts.report({ type: 'migration-started', id, resumes: false });
  await parts.lock.store.beginTakingBack(id);
  await parts.exportRegistry();
  const startedAt = performance.now();
  const outcome = await attempt('down', { file, inspection }, parts);
  if (parts.signal.aborted)
    throw describeInterruption(id, parts.signal.reason, `--down ${id} goes on with it`);
  const executionTimeMs = Math.round(performance.now() - startedAt);
  if ('failure' in outcome) {
    const reason = `its down() failed: ${describeError(outcome.failure)}`;
    await record(id, { state: 'FAILED', finishedAt: new Date(), durationMs: executionTimeMs, reason }, parts);
    throw new Refusal(
      EXIT.failed,
      `cannot take data migration ${id} back: ${describeError(outcome.failure)}. What it took back so far stays; mend the cause, then --down ${id} once more`,
    );
  }
  await record(id, { state: pending }, parts, { afresh: true });
  parts.report({ type: 'migration-taken-back', id, executionTimeMs });
}

/** What a batch's cursor belongs to. */
export async function readSources(file: string): Promise<{ readonly code: string }> {
  // As the parser, it takes longer to load than a status takes.
  const { checksumOfSources } = await import('./sources.ts');
  return { code: await checksumOfSources(file) };
}

type Outcome = { readonly done: Done } | { readonly failure: unknown };

async function attempt(
  task: 'up' | 'down',
  { file, inspection }: Pick<Checked, 'file' | 'inspection'>,
  { lock, url, limits, signal, report }: RunParts,
): Promise<Outcome> {
  const { id } = file;
  const heartbeat = setInterval(
    () => void lock.store.extendLease(id).catch(() => {}),
    (LEASE_SECONDS * 1000) / 3,
  );
  const say = (message: string): void => report({ type: 'migration-log', id, message });
  const silence = watchSilence(say);
  try {
    const code = inspection.format === 'module' ? await readSources(file.path) : undefined;
    const job = { id, file: file.path, kind: file.kind, task, url, dryRun: false, ...code };
    const listener = {
      log: (message: string) => {
        silence.heard();
        say(message);
      },
      progress: (progress: Progress) => {
        silence.heard();
        report({ type: 'migration-progress', id, ...progress });
      },
    };
    return { done: await runMigrationFile(job, { inspection, limits, signal, listener }) };
  } catch (failure) {
    return { failure };
  } finally {
    clearInterval(heartbeat);
    silence.end();
    // Whatever it left at work on the server would go on behind our back.
    await lock.endMigrations().catch(() => {});
  }
}

async function record(
  id: string,
  change: Change,
  { lock, exportRegistry }: RunParts,
  how: { readonly afresh?: true } = {},
): Promise<void> {
  try {
    // Both or neither: pending, with its batches remembered as done, it would be a success without a row.
    await lock.store.inTransaction(async () => {
      if (how.afresh === true) await lock.store.forgetBatches(id);
      await lock.store.saveState(id, change);
    });
    await exportRegistry();
  } catch (error) {
    throw new Refusal(
      EXIT.failed,
      `cannot record data migration ${id}: ${describeError(error)}. Mend that (is the registry writable?), then run it again: what the database remembers is written to the file first`,
      { cause: error },
    );
  }
}

function describeFailure(id: string, error: unknown): Refusal {
  return new Refusal(EXIT.failed, `cannot apply data migration ${id}: ${describeError(error)}${advice()}`, {
    cause: error,
  });
}

function describeInterruption(id: string, reason: unknown, next = 'The next run goes on with it'): Refusal {
  return new Refusal(
    reason instanceof Refusal ? reason.exitCode : EXIT.failed,
    `cannot finish data migration ${id}: ${describeError(reason)}. ${next}: batches where they were, anything else from its start`,
    { cause: reason },
  );
}

/** Inside an update everything is restored after a failure, so there is nothing to run again. */
function advice(): string {
  return process.env['HOLDFAST_RUN']
    ? ''
    : '. The earlier ones stay recorded; mend the cause, then run it again';
}
