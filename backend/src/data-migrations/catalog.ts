import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { discoverMigrations, numberOf, type Discovery, type MigrationFile } from './discovery.ts';
import { checksumOf } from './checksum.ts';
import type { Inspection } from './inspection.ts';
import type { Limits } from './limits.ts';
import { EXIT, Refusal } from './refusal.ts';
import { isDone, type State } from './states.ts';
import type { Row } from './store.ts';
import { describeFiles } from './worker-process.ts';

/** Where the migrations lie in this package. */
const USUAL_DIRECTORY = path.resolve(import.meta.dirname, '../../prisma/data-migrations');

export interface Catalog extends Discovery {
  readonly directory: string;
  readonly registryFile: string;
}

/** Finds the migrations. @throws Refusal when the folder cannot be read. */
export async function openCatalog(directory: string | undefined): Promise<Catalog> {
  const at = path.resolve(directory ?? USUAL_DIRECTORY);
  return { ...(await discoverMigrations(at)), directory: at, registryFile: path.join(at, 'registry.json') };
}

/**
 * The one migration that somebody means: by its id, its file's name or its number.
 *
 * @throws Refusal (exit 2) when there is none, or more than one with that number.
 */
export function findOne({ files }: Pick<Catalog, 'files'>, wanted: string): MigrationFile {
  const bare = path.basename(wanted).replace(/(?:\.migration)?\.(?:[cm]?[jt]s|sql)$/, '');
  const exact = files.find(({ id }) => id === bare);
  if (exact) return exact;
  const numbered = /^\d+$/.test(bare) ? files.filter((file) => numberOf(file) === Number(bare)) : [];
  const [first, ...others] = numbered;
  if (first && others.length === 0) return first;
  const several = numbered.map(({ id }) => id).join(' and ');
  throw new Refusal(
    EXIT.refused,
    first
      ? `cannot tell which data migration ${wanted} is: ${several}. Nothing was run. Give the whole id`
      : `cannot find the data migration ${wanted}: there is no such file. Nothing was run. See --list`,
  );
}

export interface Inspected {
  readonly file: MigrationFile;
  readonly inspection: Inspection;
  /** True when it says how it is taken back. */
  readonly hasDown: boolean;
  /** The schema migration that must not run before it, where it says one. */
  readonly requiredBefore: string | undefined;
}

/**
 * Checks files before any of them runs: they are read, and those that export something are imported in another process.
 *
 * @throws Refusal (exit 2) that lists every problem at once: the vendor mends them in one go.
 */
export async function checkFiles(
  catalog: Catalog,
  files: readonly MigrationFile[],
  { url, limits }: { readonly url: string; readonly limits: Limits },
): Promise<Inspected[]> {
  // The parser takes longer to load than a status takes; only a run needs it.
  const { inspectFile } = await import('./inspection.ts');
  const inspected = await Promise.all(
    files.map(async (file) => ({ file, inspection: await inspectFile(file.path, url) })),
  );
  const readable = inspected.filter(({ inspection }) => inspection.problems.length === 0);
  const modules = readable.filter(({ inspection }) => inspection.format === 'module');
  const described = await describeFiles(
    modules.map(({ file }) => ({ id: file.id, file: file.path, kind: file.kind, url })),
    limits,
  );
  const problems = [
    ...catalog.problems,
    ...(await findForgotten(catalog, url)),
    ...inspected.flatMap(({ inspection }) => inspection.problems),
    ...modules.flatMap(({ file }, index) => {
      const { problem, line } = described[index] ?? {};
      const where = line === undefined ? '' : `:${line}`;
      return problem === undefined ? [] : [`${path.basename(file.path)}${where}: ${problem}`];
    }),
  ];
  if (problems.length > 0) {
    const list = problems.map((problem) => `\n  ${problem}`).join('');
    throw new Refusal(
      EXIT.refused,
      `cannot run the data migrations: ${problems.length} to mend, nothing was run:${list}`,
    );
  }
  const hasDown = new Map(modules.map(({ file }, index) => [file, described[index]?.hasDown === true]));
  const required = new Map(modules.map(({ file }, index) => [file, described[index]?.requiredBefore]));
  return inspected.map(({ file, inspection }) => ({
    file,
    inspection,
    requiredBefore: required.get(file),
    hasDown: hasDown.get(file) ?? inspection.direction?.down !== undefined,
  }));
}

/** Scripts without a number: nobody knows when they should run, and left alone they never would. */
async function findForgotten({ unnumbered, files }: Catalog, url: string): Promise<string[]> {
  const { inspectFile } = await import('./inspection.ts');
  const found: string[] = [];
  let next = Math.max(0, ...files.map(numberOf));
  for (const file of unnumbered) {
    const { format, problems } = await inspectFile(file, url);
    const exportsMigration = /\bexport\s+(?:const|let)\s+migration\b/.test(await readFile(file, 'utf8'));
    if (format !== 'sql' && (problems.length > 0 || (format !== 'script' && !exportsMigration))) continue;
    next += 1;
    const name = path.basename(file);
    const bare = name.replace(/^V?\d*_+/i, '');
    found.push(
      `${name}: it has no number, so nobody knows when it is to run: mv ${name} ${String(next).padStart(3, '0')}_${bare} (or move it out of this folder)`,
    );
  }
  return found;
}

/** What changed since it was applied, or is gone: both are told, and neither stops anything. */
export async function findAged(
  { files }: Pick<Catalog, 'files'>,
  rows: readonly Row[],
  states: ReadonlyMap<string, State>,
): Promise<string[]> {
  const byId = new Map(files.map((file) => [file.id, file]));
  const checked = rows.filter(({ id }) => isDone(states.get(id) ?? 'PENDING'));
  const told = await Promise.all(
    checked.map(async ({ id, checksum, state }) => {
      const file = byId.get(id);
      if (file === undefined) return [`${id} was applied here, and its file is gone`];
      if (checksum === null || state === 'SKIPPED') return [];
      const now = checksumOf(await readFile(file.path, 'utf8'));
      return now === checksum
        ? []
        : [`${id} was modified since it was applied here: what it does now was never run`];
    }),
  );
  return told.flat();
}

/**
 * Half-done ones whose file is gone: it was renamed, perhaps, and under its other name it would do their rows once more.
 *
 * @returns what to do about each
 */
export function findLost(
  { files }: Pick<Catalog, 'files'>,
  rows: readonly Row[],
  states: ReadonlyMap<string, State>,
): string[] {
  return rows.flatMap(({ id, batched = 0 }) => {
    const state = states.get(id) ?? 'PENDING';
    const isThere = files.some((file) => file.id === id);
    if (isThere || batched === 0 || !(state === 'FAILED' || state === 'RUNNING')) return [];
    return [
      `${id} is half done (${batched} rows), and its file is gone: bring that back under its name, or --skip ${id} --reason "..." where another one sees to the rest`,
    ];
  });
}

/** @throws Refusal while there is one of these: another run might do its rows once more. */
export function refuseLost(lost: readonly string[]): void {
  if (lost.length === 0) return;
  throw new Refusal(EXIT.refused, `cannot run the data migrations: ${lost.join('; ')}. Nothing was run`);
}

const FIELD = (name: string) => new RegExp(String.raw`\b${name}\s*[:=]\s*(['"\x60])((?:\\.|(?!\1).)*)\1`);

/** What a file says of itself, read from its text. Nothing is imported: applied ones may have aged. */
export async function readDescription(file: MigrationFile): Promise<string> {
  const text = await readFile(file.path, 'utf8').catch(() => '');
  if (file.kind === 'sql') return /^\s*--\s*(.+)$/m.exec(text)?.[1]?.trim() ?? '';
  return FIELD('description').exec(text)?.[2] ?? '';
}
