import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { MigrationFile } from './discovery.ts';
import type { DataMigration } from './migration.ts';
import { describeError } from './refusal.ts';

/** The id that `template.ts` carries. */
export const PLACEHOLDER_ID = 'CHANGE_ME_TO_MATCH_FILENAME';

/** Migrations ready to run, and everything that is wrong with those that are not. */
export interface Loaded {
  readonly migrations: readonly DataMigration[];
  readonly problems: readonly string[];
}

/**
 * Imports the files and checks what they export; nothing of a migration is run. Node strips the types itself, so no
 * compiler is needed. Every problem is reported, not only the first: the vendor mends them in one go.
 */
export async function loadMigrations(files: readonly MigrationFile[]): Promise<Loaded> {
  const ids = new Set(files.map((file) => file.id));
  const loaded = await Promise.all(files.map(async (file) => await loadMigration(file, ids)));
  return {
    migrations: loaded.filter((one) => typeof one !== 'string'),
    problems: loaded.filter((one) => typeof one === 'string'),
  };
}

async function loadMigration(file: MigrationFile, ids: ReadonlySet<string>): Promise<DataMigration | string> {
  const name = path.basename(file.path);
  try {
    const exported: { readonly migration?: unknown } = await import(pathToFileURL(file.path).href);
    const { migration } = exported;
    const problem = findProblem(file, migration, ids);
    return isChecked(migration, problem) ? migration : `${name}: ${problem}`;
  } catch (error) {
    return `${locate(error, file)}: it does not load: ${describeError(error)}`;
  }
}

/** Tells the compiler what `findProblem` found out. */
function isChecked(_migration: unknown, problem: string | undefined): _migration is DataMigration {
  return problem === undefined;
}

function findProblem(file: MigrationFile, migration: unknown, ids: ReadonlySet<string>): string | undefined {
  if (migration === undefined) return 'it does not export "migration"; see template.ts';
  if (typeof migration !== 'object' || migration === null) return 'its "migration" is not an object';
  const { id, up, shouldRun }: Partial<Record<keyof DataMigration, unknown>> = migration;
  if (id === PLACEHOLDER_ID) return `its id is still the template's; set it to "${file.id}"`;
  if (typeof id === 'string' && id !== file.id && ids.has(id)) {
    return `duplicate id: "${id}" belongs to ${id}.ts; set it to "${file.id}"`;
  }
  if (id !== file.id) return `its id is ${JSON.stringify(id)} but must equal the file's name, "${file.id}"`;
  if (typeof up !== 'function') return '"up" is not a function';
  if (shouldRun !== undefined && typeof shouldRun !== 'function') return '"shouldRun" is not a function';
  return undefined;
}

/** The name and, where Node tells it, the line: `003_x.ts:12`. The first line of a syntax error's stack has it. */
function locate(error: unknown, file: MigrationFile): string {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const name = path.basename(file.path);
  for (const [, at, line] of stack.matchAll(/((?:file:\/\/)?\/[^\n]*?\.[cm]?[jt]s):(\d+)/g)) {
    if (at === file.path || at === pathToFileURL(file.path).href) return `${name}:${line}`;
  }
  return name;
}
