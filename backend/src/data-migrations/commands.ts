import path from 'node:path';
import { openDatabase } from '../database.ts';
import { EnvironmentError, parseDatabaseUrl } from '../environment.ts';
import { withAdvisoryLock } from './advisory-lock.ts';
import type { Request } from './arguments.ts';
import { discoverMigrations } from './discovery.ts';
import { loadMigrations } from './loading.ts';
import type { DataMigration } from './migration.ts';
import { describeError, EXIT, Refusal } from './refusal.ts';
import { readRegistry, verifyRegistryWritable, writeRegistry } from './registry-file.ts';
import { isApplied, type Registry } from './registry.ts';
import type { Report } from './reporter.ts';
import { isNeeded, runMigrations } from './runner.ts';
import { withSessions } from './sessions.ts';
import { formatSummary, statusOf, summarize } from './status.ts';

/** Where the migrations lie in this package. */
const USUAL_DIRECTORY = path.resolve(import.meta.dirname, '../../prisma/data-migrations');

function locate(request: Request): { directory: string; registryFile: string } {
  const directory = path.resolve(request.directory ?? USUAL_DIRECTORY);
  return { directory, registryFile: path.join(directory, 'registry.json') };
}

/** Prints what is applied, pending and failed; looks at files only. */
export async function showStatus(request: Request): Promise<void> {
  const { directory, registryFile } = locate(request);
  const { files } = await discoverMigrations(directory);
  const summary = summarize(files, await readRegistry(registryFile));
  console.log(request.json ? JSON.stringify(summary) : formatSummary(summary));
}

/** Prints every migration with its status and description; refuses when one of them does not load. */
export async function listMigrations(request: Request): Promise<void> {
  const { directory, registryFile } = locate(request);
  const { files, problems } = await discoverMigrations(directory);
  const registry = await readRegistry(registryFile);
  const loaded = await loadMigrations(files);
  refuseProblems([...problems, ...loaded.problems]);
  const migrations = loaded.migrations.map(({ id, description }) => ({
    id,
    status: statusOf(id, registry),
    description: description ?? '',
  }));
  if (request.json) console.log(JSON.stringify({ migrations }));
  else for (const one of migrations) console.log(`${one.id} [${one.status}] ${one.description}`.trimEnd());
}

/** Says what would run. `shouldRun` is asked, nothing is written, no lock is taken. */
export async function planRun(request: Request, report: Report): Promise<void> {
  const url = databaseUrl();
  const { migrations } = await findPending(request, report);
  const { prisma } = openDatabase(url);
  try {
    for (const migration of migrations) {
      const { id } = migration;
      const wouldRun = await isNeeded(migration, prisma).catch((error: unknown) => {
        const why = describeError(error);
        throw new Refusal(
          EXIT.failed,
          `cannot plan data migration ${id}: its shouldRun failed: ${why}. Nothing was changed`,
        );
      });
      report({ type: 'migration-planned', id, wouldRun });
    }
  } finally {
    await prisma.$disconnect();
  }
}

/**
 * Runs what is pending. Everything that can be checked is checked before the first migration; the registry is read
 * under the lock, so that a runner that ended a moment ago is seen.
 */
export async function run(request: Request, report: Report, controller: AbortController): Promise<void> {
  const url = databaseUrl();
  await findPending(request, () => {});
  const onLost = (error: Error): void =>
    controller.abort(new Refusal(EXIT.failed, `the lock's database session was lost (${error.message})`));
  await withAdvisoryLock(url, onLost, async (lock) => {
    const { migrations, registry, registryFile } = await findPending(request, report);
    const save = async (next: Registry): Promise<void> => await writeRegistry(registryFile, next);
    const { signal } = controller;
    await withSessions(url, lock, signal, async (prisma) => {
      await runMigrations(migrations, registry, { prisma, report, save, signal });
    });
  });
}

interface Pending {
  readonly migrations: readonly DataMigration[];
  readonly registry: Registry;
  readonly registryFile: string;
}

/** @throws Refusal that lists every problem at once. Applied migrations are not loaded: they may have aged. */
async function findPending(request: Request, report: Report): Promise<Pending> {
  const { directory, registryFile } = locate(request);
  const registry = await readRegistry(registryFile);
  const { files, problems } = await discoverMigrations(directory);
  if (request.only !== undefined && files.every(({ id }) => id !== request.only)) {
    throw new Refusal(
      EXIT.refused,
      `cannot run ${request.only}: there is no such data migration. See --list`,
    );
  }
  const asked = files.filter(({ id }) => request.only === undefined || id === request.only);
  const pending = asked.filter(({ id }) => !isApplied(registry, id));
  const loaded = await loadMigrations(pending);
  refuseProblems([...problems, ...loaded.problems]);
  if (request.command === 'run') await verifyRegistryWritable(registryFile);
  report({ type: 'run-started', pending: pending.length, applied: asked.length - pending.length });
  return { migrations: loaded.migrations, registry, registryFile };
}

function refuseProblems(problems: readonly string[]): void {
  if (problems.length === 0) return;
  const list = problems.map((problem) => `\n  ${problem}`).join('');
  throw new Refusal(
    EXIT.refused,
    `cannot run the data migrations: ${problems.length} to mend, nothing was run:${list}`,
  );
}

function databaseUrl(): string {
  try {
    return parseDatabaseUrl(process.env, 'run the data migrations');
  } catch (error) {
    if (error instanceof EnvironmentError) throw new Refusal(EXIT.refused, error.message, { cause: error });
    throw error;
  }
}
