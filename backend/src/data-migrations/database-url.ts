import { existsSync } from 'node:fs';
import path from 'node:path';
import { EXIT, Refusal } from './refusal.ts';

/** The package that the migrations belong to: relative files are found from there, from whichever directory one calls. */
const PACKAGE = path.resolve(import.meta.dirname, '../..');

/** True for the address of a file of SQLite's. */
export function isSqlite(url: string): boolean {
  return url.startsWith('file:');
}

/** The name of the database that an address of PostgreSQL's leads to. */
export function databaseOf(url: URL): string {
  return decodeURIComponent(url.pathname.slice(1) || url.username);
}

/**
 * The address of the database, from the environment. Its value never appears in a message: it holds a password.
 *
 * @returns a PostgreSQL URL as it is, or `file:` and the absolute path of a SQLite file
 * @throws Refusal (exit 2) when it is missing or is neither.
 */
export function readDatabaseUrl(variables: NodeJS.ProcessEnv = process.env): string {
  const url = variables['DATABASE_URL'];
  if (url === undefined || url === '')
    throw new Refusal(
      EXIT.refused,
      'cannot run the data migrations: DATABASE_URL is not set. Set it, for example postgresql://user:password@localhost:5432/inventory',
    );
  if (isSqlite(url)) return `file:${sqliteFile(url)}`;
  if (!URL.canParse(url) || !/^postgres(?:ql)?:$/.test(new URL(url).protocol))
    throw new Refusal(
      EXIT.refused,
      'cannot run the data migrations: DATABASE_URL is not a PostgreSQL URL or a SQLite file. It starts with postgresql:// (percent-encode odd characters) or with file:',
    );
  return url;
}

/**
 * The absolute path of a SQLite file. Drivers strip `file:` and go by their working directory, which for a backend is its
 * package; Prisma before 7 went by the folder of the schema.
 *
 * @throws Refusal (exit 2) for what different drivers understand differently.
 */
export function sqliteFile(url: string, directory: string = PACKAGE): string {
  const refuse = (reason: string): Refusal =>
    new Refusal(
      EXIT.refused,
      `cannot run the data migrations: DATABASE_URL ${reason}. Give the absolute path, for example file:/srv/inventory/data/inventory.db`,
    );
  const named = url.slice('file:'.length);
  if (named === '' || named.includes(':memory:')) throw refuse('names no file of SQLite');
  // One driver takes them as they are, the other as a URL has them.
  const odd = /[?#%]/.exec(named)?.[0];
  if (odd !== undefined) throw refuse(`holds "${odd}", which not every driver of SQLite reads alike`);
  if (named.startsWith('//') && !named.startsWith('///')) throw refuse('names a host, and a file has none');
  if (path.isAbsolute(named)) return path.normalize(named);
  const [here, bySchema] = [path.resolve(directory, named), path.resolve(directory, 'prisma', named)];
  if (existsSync(bySchema) && here !== bySchema)
    throw refuse(
      `is "${url}", and ${existsSync(here) ? 'both ' : ''}${bySchema}${existsSync(here) ? ` and ${here} are` : ' is'} there`,
    );
  return here;
}
