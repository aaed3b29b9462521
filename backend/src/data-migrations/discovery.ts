import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { describeError, EXIT, Refusal } from './refusal.ts';

/** A migration's file, known by name only. */
export interface MigrationFile {
  readonly id: string;
  readonly path: string;
  readonly kind: 'code' | 'sql';
}

/** What a folder holds, in the order in which it runs, and what is wrong with it. */
export interface Discovery {
  readonly files: readonly MigrationFile[];
  /** Nothing may run before these are mended. */
  readonly problems: readonly string[];
  /** To be looked at; nothing is kept from running. */
  readonly warnings: readonly string[];
  /** Files that might be migrations without a number: only a look inside tells. */
  readonly unnumbered: readonly string[];
}

// 001_what_it_does.ts, 002-what-it-does.migration.ts, 003_what_it_does.sql
const NAME =
  /^(?<id>\d{3,}[_-][A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*)(?:\.migration)?\.(?<extension>[cm]?[jt]s|sql)$/;
const MIGRATION = /\.(?:[cm]?[jt]s|sql)$/;
const NEVER = /\.(?:d\.[cm]?ts|test\.[cm]?[jt]s|spec\.[cm]?[jt]s)$/;
/** Ours, and what a folder of migrations usually has beside them. */
const KNOWN = /^(?:template|index|client)\.[cm]?[jt]s$/;

/**
 * Finds the migrations of a folder by their names, in the order of their numbers: a list to register them in is not
 * needed. One that begins with a digit but is spelled differently is a problem, because it would be left out in silence.
 *
 * @throws Refusal when the folder cannot be read.
 */
export async function discoverMigrations(directory: string): Promise<Discovery> {
  const entries = await listEntries(directory);
  const names = entries.flatMap(({ name, isFolder }) => (isFolder || NEVER.test(name) ? [] : [name]));
  const files = names.flatMap((name) => parseName(directory, name)).toSorted(byNumber);
  const misspelled = names.filter((name) => /^\d.*\.(?:[cm]?[jt]sx?|sql)$/i.test(name) && !NAME.test(name));
  return {
    files,
    problems: [
      ...misspelled.map((name) => `${name}: the name must look like 001_what_it_does.ts`),
      ...findDuplicates(files),
    ],
    warnings: [
      ...findSharedNumbers(files),
      ...findGaps(files),
      ...entries
        .filter(({ name, isFolder }) => isFolder && /^\d{3,}[_-]/.test(name))
        .map(({ name }) => `${name} is a folder, and a data migration is one file: it is left out`),
    ],
    unnumbered: names
      .filter((name) => MIGRATION.test(name) && !/^\d/.test(name) && !KNOWN.test(name))
      .map((name) => path.join(directory, name)),
  };
}

function parseName(directory: string, name: string): MigrationFile[] {
  const { id, extension } = NAME.exec(name)?.groups ?? {};
  if (id === undefined) return [];
  return [{ id, path: path.join(directory, name), kind: extension === 'sql' ? 'sql' : 'code' }];
}

async function listEntries(directory: string): Promise<{ name: string; isFolder: boolean }[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    // Hidden ones are an editor's or the system's: `.#001_x.ts` of Emacs points nowhere.
    return entries
      .filter(({ name }) => !name.startsWith('.'))
      .map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }));
  } catch (error) {
    const reason = describeError(error);
    throw new Refusal(EXIT.refused, `cannot look for data migrations: ${reason}. Check --directory`, {
      cause: error,
    });
  }
}

function byNumber(a: MigrationFile, b: MigrationFile): number {
  return numberOf(a) - numberOf(b) || (a.id < b.id ? -1 : 1);
}

export function numberOf({ id }: Pick<MigrationFile, 'id'>): number {
  return Number.parseInt(id, 10);
}

function baseNames(files: readonly MigrationFile[]): string {
  return files.map((file) => path.basename(file.path)).join(' and ');
}

/** Two files with one id would be one line in the registry. */
function findDuplicates(files: readonly MigrationFile[]): string[] {
  return [...Map.groupBy(files, ({ id }) => id).values()]
    .filter((group) => group.length > 1)
    .map((group) => `${baseNames(group)}: one id twice; give one of them the next free number`);
}

/** Two files with one number have an order, but hardly one that their authors meant. */
function findSharedNumbers(files: readonly MigrationFile[]): string[] {
  return [...Map.groupBy(files, numberOf).values()]
    .filter((group) => new Set(group.map(({ id }) => id)).size > 1)
    .map((group) => `${baseNames(group)} share a number; they run in this order`);
}

function findGaps(files: readonly MigrationFile[]): string[] {
  const numbers = [...new Set(files.map(numberOf))];
  return numbers.flatMap((number, index) => {
    const previous = numbers[index - 1];
    // Numbers that are dates have gaps by nature.
    if (previous === undefined || number === previous + 1 || number > 99_999) return [];
    const missing = number - previous === 2 ? `${previous + 1}` : `${previous + 1} to ${number - 1}`;
    return [`there is no number ${missing}; was a file lost?`];
  });
}

/** The name for a new migration: the next number, and words made fit for a file's name. */
export function nextName(files: readonly MigrationFile[], words: string): string {
  const slug = words
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_+|_+$/g, '')
    .replace(/^\d+_/, '');
  if (!/[a-z]/.test(slug))
    throw new Refusal(EXIT.refused, `cannot name a migration "${words}": it needs a letter from a to z`);
  const number = Math.max(0, ...files.map(numberOf)) + 1;
  return `${String(number).padStart(3, '0')}_${slug}`;
}
