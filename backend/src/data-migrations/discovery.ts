import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { describeError, EXIT, Refusal } from './refusal.ts';

/** A migration's file, known by name only. */
export interface MigrationFile {
  readonly id: string;
  readonly path: string;
}

/** What a folder holds, and what is wrong with the names in it. */
export interface Discovery {
  readonly files: readonly MigrationFile[];
  readonly problems: readonly string[];
}

const NAME = /^(\d{3,})_[a-z0-9]+(?:_[a-z0-9]+)*\.ts$/;

/**
 * Finds the files `NNN_descriptive_name.ts`, in the order of their numbers. Files whose names do not begin with a digit
 * (the template, helpers) are not migrations; one that begins so but is spelled differently is a problem, because it
 * would be left out in silence.
 *
 * @throws Refusal when the folder cannot be read.
 */
export async function discoverMigrations(directory: string): Promise<Discovery> {
  const names = await listNames(directory);
  const matching = names.filter((name) => NAME.test(name)).toSorted(byNumber);
  const misspelled = names.filter((name) => /^\d.*\.[cm]?[jt]s$/.test(name) && !NAME.test(name));
  return {
    files: matching.map((name) => ({ id: name.slice(0, -'.ts'.length), path: path.join(directory, name) })),
    problems: [
      ...misspelled.map((name) => `${name}: the name must look like 001_what_it_does.ts`),
      ...findDuplicates(matching),
    ],
  };
}

async function listNames(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    const reason = describeError(error);
    throw new Refusal(EXIT.refused, `cannot look for data migrations: ${reason}. Check --directory`, {
      cause: error,
    });
  }
}

function byNumber(a: string, b: string): number {
  return numberOf(a) - numberOf(b) || (a < b ? -1 : 1);
}

function numberOf(name: string): number {
  return Number.parseInt(name, 10);
}

/** Two files with one number have no order that their authors meant. */
function findDuplicates(names: readonly string[]): string[] {
  const groups = Map.groupBy(names, numberOf);
  return [...groups.values()]
    .filter((group) => group.length > 1)
    .map((group) => `${group.join(' and ')}: duplicate number; give one of them the next free number`);
}
