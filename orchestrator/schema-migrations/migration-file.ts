import { createHash } from 'node:crypto';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Runtime } from '../runtime/runtime.ts';
import { filesAt, textsAt } from '../tools/git-facts.ts';

/** A schema migration as it lies in a tree. */
export interface MigrationFile {
  /** Its folder's name, by which Prisma orders and records it. */
  readonly name: string;
  /** Its file, relative to the checkout. */
  readonly file: string;
  readonly sql: string;
  /** What takes it back, where it brings that. */
  readonly down: { readonly file: string; readonly sql: string } | undefined;
}

/** Names under which a way back may lie beside `migration.sql`; the first one that is there counts. */
export const downNames = ['down.sql', 'rollback.sql'];

/** The migrations of a commit, in the order in which Prisma applies them. Looks only. */
export async function migrationsAt(
  runtime: Runtime,
  directory: string,
  commit: string,
  folder: string,
): Promise<MigrationFile[]> {
  const paths = (await filesAt(runtime, directory, commit, folder)).filter((path) => path.endsWith('.sql'));
  return assemble(folder, await textsAt(runtime, directory, commit, paths));
}

/** The same for what lies in the checkout now, committed or not. */
export function migrationsInCheckout(directory: string, folder: string): MigrationFile[] {
  if (!existsSync(join(directory, folder))) return [];
  const paths = globSync(`*/{migration,down,rollback}.sql`, { cwd: join(directory, folder) });
  const texts = paths.map((path) => {
    const file = join(folder, path);
    return [file, readFileSync(join(directory, file), 'utf8')] as const;
  });
  return assemble(folder, new Map(texts));
}

/** Folders among the migrations that Prisma takes for one, and that have no `migration.sql` (P3015). */
export function foldersWithoutSql(paths: readonly string[], folder: string): string[] {
  const inside = paths
    .filter((path) => path.startsWith(`${folder}/`))
    .map((path) => path.slice(folder.length + 1))
    .filter((path) => path.includes('/'));
  const names = new Set(inside.map((path) => path.split('/')[0] ?? ''));
  return [...names].filter((name) => !inside.includes(`${name}/migration.sql`)).toSorted();
}

/** Paths below the folder of the migrations, as `filesAt` has them for a commit; a folder ends with a slash. */
export function pathsInCheckout(directory: string, folder: string): string[] {
  const root = join(directory, folder);
  if (!existsSync(root)) return [];
  return readdirSync(root, { withFileTypes: true, recursive: true }).map((entry) => {
    const path = join(folder, relative(root, join(entry.parentPath, entry.name)));
    return entry.isDirectory() ? `${path}/` : path;
  });
}

function assemble(folder: string, texts: ReadonlyMap<string, string>): MigrationFile[] {
  const migrations: MigrationFile[] = [];
  for (const [file, sql] of texts) {
    const [name, base, ...deeper] = file.slice(folder.length + 1).split('/');
    if (name === undefined || base !== 'migration.sql' || deeper.length > 0) continue;
    const down = downNames
      .map((one) => `${folder}/${name}/${one}`)
      .flatMap((path) => (texts.has(path) ? [{ file: path, sql: texts.get(path) ?? '' }] : []))[0];
    migrations.push({ name, file, sql, down });
  }
  return migrations.toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

/** As Prisma records it in `_prisma_migrations`: the SHA-256 of the file. */
export function checksumOf(sql: string): string {
  return createHash('sha256').update(sql).digest('hex');
}

/** Whether a file still is what was applied. Line endings do not count, as they do not for Prisma. */
export function isUnchanged(sql: string, checksum: string): boolean {
  const unix = sql.replaceAll('\r\n', '\n');
  return [sql, unix, unix.replaceAll('\n', '\r\n')].some((text) => checksumOf(text) === checksum);
}
