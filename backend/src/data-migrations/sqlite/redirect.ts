import path from 'node:path';
import { realFile } from './users.ts';

/** Where drivers and Prisma look for a relative file. */
const PACKAGE = path.resolve(import.meta.dirname, '../../..');
const FOLDERS = [PACKAGE, path.join(PACKAGE, 'prisma')];

/**
 * Every variable that names a file of SQLite's, as an address or as an absolute path, with another one in its place: what
 * goes by another variable than DATABASE_URL is not to reach the file either.
 *
 * @param from the address of the file
 * @param to the address of the one to use instead
 */
export function redirected(
  from: string,
  to: string,
  variables: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const file = realFile(fileOf(from));
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined || !namesOf(value).some((one) => realFile(one) === file)) continue;
    found[name] = value.startsWith('file:') ? to : fileOf(to);
  }
  return found;
}

function fileOf(url: string): string {
  return url.slice('file:'.length);
}

/** The files that a value may mean, with the ways in which drivers read what is odd in it. */
function namesOf(value: string): string[] {
  if (!value.startsWith('file:')) return path.isAbsolute(value) ? [path.normalize(value)] : [];
  const whole = fileOf(value);
  const bare = whole.replace(/[?#].*$/s, '');
  return [whole, bare, decoded(bare)].flatMap((name) => FOLDERS.map((folder) => path.resolve(folder, name)));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
