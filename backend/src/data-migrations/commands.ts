import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Request } from './arguments.ts';
import {
  checkFiles,
  findAged,
  findLost,
  findOne,
  openCatalog,
  readDescription,
  refuseLost,
  type Catalog,
} from './catalog.ts';
import { nextName } from './discovery.ts';
import { databaseAt, type MigrationLock } from './database.ts';
import { readDatabaseUrl } from './database-url.ts';
import { PLACEHOLDER_ID } from './exported.ts';
import { EXIT, Refusal } from './refusal.ts';
import { pendingFiles } from './plan.ts';
import { createRecord, type Record } from './record.ts';
import { readRegistry, verifyRegistryWritable } from './registry-file.ts';
import type { Report } from './reporter.ts';
import { reconcile } from './reconcile.ts';
import {
  runMigrations,
  verifyDone,
  verifyNotHalfTakenBack,
  takeBack,
  type Checked,
  type RunParts,
} from './runner.ts';
import { transition, type Action } from './states.ts';
import { formatList, formatSummary, summarize, type Summary } from './status.ts';
import type { Row } from './store.ts';

/** Prints the states of all migrations; asks the database where it answers, and goes by the registry where not. */
export async function showStatus(request: Request): Promise<void> {
  const summary = await readStatus(request.directory);
  console.log(request.json ? JSON.stringify(summary) : formatSummary(summary));
}

/** What `--status` says, as a value. */
export async function readStatus(directory: string | undefined): Promise<Summary> {
  const catalog = await openCatalog(directory);
  const registry = await readRegistry(catalog.registryFile);
  const { rows, problem } = await askRowsIfThere();
  const { states, warnings } = reconcile(registry, rows);
  const aged = await findAged(catalog, rows ?? [], states);
  const lost = findLost(catalog, rows ?? [], states);
  const all = [...catalog.warnings, ...(problem ?? []), ...warnings, ...aged, ...lost];
  return summarize(catalog.files, states, rows ?? [], [...catalog.problems, ...all]);
}

async function askRowsIfThere(): Promise<{ rows: Row[] | undefined; problem?: string[] }> {
  let url: string;
  try {
    url = readDatabaseUrl();
  } catch {
    return { rows: undefined, problem: ['DATABASE_URL is not set: this is what registry.json says'] };
  }
  try {
    return { rows: await (await databaseAt(url)).readRows(2_000) };
  } catch (error) {
    if (error instanceof Refusal && error.exitCode === EXIT.refused) throw error;
    return { rows: undefined, problem: ['the database does not answer: this is what registry.json says'] };
  }
}

/** Prints every migration with its state and description, without importing any. */
export async function listMigrations(request: Request): Promise<void> {
  const catalog = await openCatalog(request.directory);
  const { migrations } = await readStatus(request.directory);
  const stateOf = new Map(migrations.map(({ id, state }) => [id, state]));
  const listed = await Promise.all(
    catalog.files.map(async (file) => ({
      id: file.id,
      state: stateOf.get(file.id) ?? 'PENDING',
      description: await readDescription(file),
    })),
  );
  if (request.json) console.log(JSON.stringify({ migrations: listed }));
  else if (listed.length > 0) console.log(formatList(listed));
}

/** Writes a new migration from the template, with the next number. */
export async function writeNew(request: Request, words: string): Promise<void> {
  const catalog = await openCatalog(request.directory);
  const id = nextName(catalog.files, words);
  const file = path.join(catalog.directory, `${id}.ts`);
  const template = path.join(catalog.directory, 'template.ts');
  if (!existsSync(template))
    throw new Refusal(EXIT.refused, `cannot write ${id}.ts: ${template} is missing. Bring it back from git`);
  const text = (await readFile(template, 'utf8'))
    .replace(/\n\/\*\*\n \* "run.sh --new NAME"[\s\S]*?\*\//, '\n/** Why the data must change. */')
    .replaceAll(PLACEHOLDER_ID, id);
  await writeFile(file, text, { flag: 'wx' });
  if (request.json) console.log(JSON.stringify({ type: 'result', ok: true, id, file }));
  else console.log(`${file}\nNext: write its up(), then try it: run.sh --dry-run --only ${id}`);
}

/**
 * Runs what is pending. Everything that can be checked is checked before the first migration; the states are read under
 * the lock, so that a runner that ended a moment ago is seen.
 */
export async function run(request: Request, report: Report, controller: AbortController): Promise<void> {
  await underLock(request, report, controller, async ({ catalog, record, parts }) => {
    const files = pendingFiles(catalog, record.states, request.only);
    if (files.length > 0) refuseLost(findLost(catalog, record.rows, record.states));
    const migrations = await check(catalog, files, record, parts);
    const asked = request.only === undefined ? catalog.files.length : 1;
    report({ type: 'run-started', pending: files.length, applied: asked - files.length });
    await runMigrations(migrations, parts);
  });
}

/** Goes on with a failed one (`retry`), or runs one afresh that is done (`rerun`). */
export async function runAgain(
  request: Request,
  how: { readonly action: 'retry' | 'rerun'; readonly id: string },
  report: Report,
  controller: AbortController,
): Promise<void> {
  await underLock(request, report, controller, async ({ catalog, record, parts }) => {
    const file = findOne(catalog, how.id);
    const state = transition(file.id, record.states.get(file.id) ?? 'PENDING', how.action);
    const [checked] = await check(catalog, [file], record, parts);
    if (checked === undefined) return;
    if (how.action === 'retry') await verifyNotHalfTakenBack(parts.lock.store, file.id);
    else warnOfFirstRow(file.id, record, report);
    await record.set(file.id, { state }, { afresh: how.action === 'rerun' });
    await runMigrations([{ ...checked, state }], parts);
  });
}

/** For one that was skipped half-way: `retry` would go on behind the rows that are done. */
function warnOfFirstRow(id: string, { rows, states }: Record, report: Report): void {
  const batched = rows.find((row) => row.id === id)?.batched ?? 0;
  if (batched === 0 || states.get(id) !== 'SKIPPED') return;
  const message = `${id} begins with the first row: the ${batched} rows that its batches did are done once more (--retry would have gone on behind them)`;
  report({ type: 'warning', message });
}

/** Leaves one out by hand, with the reason that somebody will want to know. */
export async function skip(
  request: Request,
  { id, reason }: { readonly id: string; readonly reason: string },
  report: Report,
  controller: AbortController,
): Promise<void> {
  await underLock(request, report, controller, async ({ catalog, record }) => {
    const isGone = catalog.files.every((file) => file.id !== id) && record.states.has(id);
    const known = isGone ? id : findOne(catalog, id).id;
    const state = transition(known, record.states.get(known) ?? 'PENDING', 'skip' satisfies Action);
    await record.set(known, { state, reason, finishedAt: new Date(), durationMs: 0 });
  });
}

/** Takes a completed one back by its `down`. */
export async function runDown(
  request: Request,
  id: string,
  report: Report,
  controller: AbortController,
): Promise<void> {
  await underLock(request, report, controller, async ({ catalog, record, parts }) => {
    const file = findOne(catalog, id);
    const [checked] = await check(catalog, [file], record, parts);
    if (checked === undefined) return;
    transition(file.id, checked.state, 'take-back');
    if (checked.state === 'FAILED') await verifyDone(parts.lock.store, file.id);
    if (!checked.hasDown)
      throw new Refusal(
        EXIT.refused,
        `cannot take data migration ${file.id} back: ${describeNoDown(checked)}. Nothing was changed. Write a new migration that takes back what it did: run.sh --new NAME`,
      );
    await takeBack(checked, parts);
  });
}

function describeNoDown({ file, inspection }: Checked): string {
  if (file.kind === 'sql') return 'it is a file of SQL, which has no down';
  return inspection.format === 'script'
    ? 'it is a script without a "down"'
    : 'it has no down(), or says of itself that it is not rollbackable';
}

interface Locked {
  readonly catalog: Catalog;
  readonly record: Record;
  readonly parts: RunParts;
}

async function check(
  catalog: Catalog,
  files: Catalog['files'],
  record: Record,
  { url, limits }: RunParts,
): Promise<Checked[]> {
  const inspected = await checkFiles(catalog, files, { url, limits });
  return inspected.map((one) => ({ ...one, state: record.states.get(one.file.id) ?? 'PENDING' }));
}

/** Takes the lock, ends what a killed runner left at work, and brings table and registry together. */
async function underLock(
  request: Request,
  report: Report,
  controller: AbortController,
  work: (locked: Locked) => Promise<void>,
): Promise<void> {
  const url = readDatabaseUrl();
  const catalog = await openCatalog(request.directory);
  await verifyRegistryWritable(catalog.registryFile);
  const onLost = (error: Error): void =>
    controller.abort(new Refusal(EXIT.failed, `the lock's database session was lost (${error.message})`));
  const database = await databaseAt(url);
  await database.withLock(onLost, async (lock: MigrationLock) => {
    await lock.endMigrations();
    const record = await createRecord(lock.store, catalog);
    const aged = await findAged(catalog, record.rows, record.states);
    for (const message of [...catalog.warnings, ...record.warnings, ...aged])
      report({ type: 'warning', message });
    const { limits } = request;
    const { signal } = controller;
    const exportRegistry = async (): Promise<void> => await record.export();
    await work({ catalog, record, parts: { lock, url, limits, signal, report, exportRegistry } });
  });
}
