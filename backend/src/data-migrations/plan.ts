import type { Request } from './arguments.ts';
import { checkFiles, findLost, findOne, openCatalog, refuseLost, type Catalog } from './catalog.ts';
import { databaseAt } from './database.ts';
import { readDatabaseUrl } from './database-url.ts';
import { reconcile } from './reconcile.ts';
import { describeError, EXIT, Refusal } from './refusal.ts';
import { readRegistry } from './registry-file.ts';
import { readSources } from './runner.ts';
import type { Report } from './reporter.ts';
import { watchSilence } from './silence.ts';
import { isDone, type State } from './states.ts';
import { runMigrationFile } from './worker-process.ts';

/** What is to run, in order. */
export function pendingFiles(catalog: Catalog, states: ReadonlyMap<string, State>, only: string | undefined) {
  const isPending = (id: string): boolean => !isDone(states.get(id) ?? 'PENDING');
  if (only === undefined) return catalog.files.filter(({ id }) => isPending(id));
  const one = findOne(catalog, only);
  return isPending(one.id) ? [one] : [];
}

/**
 * Runs what is pending for real, each by itself, in transactions that the database does not let anybody commit. Nothing
 * is written, no lock is kept.
 */
export async function planRun(request: Request, report: Report, signal: AbortSignal): Promise<void> {
  const url = readDatabaseUrl();
  const catalog = await openCatalog(request.directory);
  const registry = await readRegistry(catalog.registryFile);
  const database = await databaseAt(url);
  const rows = await database.readRows();
  const { states, toForget, warnings } = reconcile(registry, rows);
  for (const message of [...catalog.warnings, ...warnings]) report({ type: 'warning', message });
  const files = pendingFiles(catalog, states, request.only);
  if (files.length > 0) refuseLost(findLost(catalog, rows ?? [], states));
  const inspected = await checkFiles(catalog, files, { url, limits: request.limits });
  report({ type: 'run-started', pending: files.length, applied: catalog.files.length - files.length });
  const before: string[] = [];
  for (const { file, inspection } of inspected) {
    const { id } = file;
    const code = inspection.format === 'module' ? await readSources(file.path) : undefined;
    const afresh = toForget.includes(id);
    const of = { id, file: file.path, kind: file.kind, task: 'up', url, dryRun: true } as const;
    const job = { ...of, ...code, afresh };
    const say = (message: string): void => report({ type: 'migration-log', id, message });
    const silence = watchSilence(say);
    const listener = {
      log: (message: string) => {
        silence.heard();
        say(message);
      },
      progress: () => silence.heard(),
    };
    try {
      const done = await database.tryOut(
        job,
        async (one) => await runMigrationFile(one, { inspection, limits: request.limits, signal, listener }),
      );
      const { status, rows: count, changes, warnings: told } = done;
      report({
        ...{ type: 'migration-planned', id, wouldRun: status === 'success' },
        ...(count === undefined ? {} : { rows: count }),
        ...(changes === undefined ? {} : { changes }),
        ...(told === undefined ? {} : { warnings: told }),
      });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw describePlanFailure(id, error, before);
    } finally {
      silence.end();
    }
    before.push(id);
  }
}

/** PostgreSQL's words for what only works without a transaction around it. */
const OUTSIDE_ONLY =
  /cannot (?:run|be executed) (?:inside a transaction block|from a function)|invalid transaction termination/;

/** @param before those that were tried, and taken back, before it */
function describePlanFailure(id: string, error: unknown, before: readonly string[]): Refusal {
  const said = describeError(error);
  if (OUTSIDE_ONLY.test(said))
    return new Refusal(
      EXIT.failed,
      `data migration ${id} cannot be tried: ${said}, and a dry run is one transaction. That says nothing of a run for real. Nothing was changed`,
      { cause: error },
    );
  // The one failure after which nobody can say so.
  const rest = said.includes('may be there') ? '' : '. Nothing was changed';
  const alone =
    before.length === 0
      ? ''
      : `. It was tried without what ${before.join(', ')} would have done, since each is taken back by itself: if it builds on that, run that first (--only ${before.at(-1)})`;
  return new Refusal(EXIT.failed, `data migration ${id} would fail: ${said}${alone}${rest}`, {
    cause: error,
  });
}
