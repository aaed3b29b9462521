import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import type { Config } from '../config/schema.ts';
import type { AppliedMigration, SchemaInspection } from '../database/engine.ts';
import { Refusal } from '../lib/errors.ts';
import { tableKey, type TableSizes } from './lint/finding.ts';
import { lint, type Linted } from './lint/lint.ts';
import { postgresReviewer } from './lint/postgres/lint.ts';
import { sqliteReviewer } from './lint/sqlite/lint.ts';
import { migrationsAt, migrationsInCheckout, type MigrationFile } from './migration-file.ts';
import { fileAt } from '../tools/git-facts.ts';
import { shellWord } from '../lib/shell-word.ts';
import { migrationsFolder } from './pending.ts';

/** The kind of database that migrations are written for; Prisma keeps it beside them. */
export type Provider = 'postgresql' | 'sqlite';

/** What a database that answers says of schema migrations. */
export interface Recorded {
  readonly applied: readonly AppliedMigration[];
  readonly inspection: SchemaInspection;
}

/** The migrations of a commit, or of what lies in the checkout. Throws Refusal where the appliance has none. */
export async function readMigrations(
  { runtime, directory }: Pick<Appliance, 'runtime' | 'directory'>,
  config: Config,
  commit?: string,
): Promise<MigrationFile[]> {
  const folder = migrationsFolder(config);
  if (folder === undefined || config.prisma?.deploy === 'none')
    throw new Refusal(
      'cannot look for schema migrations: appliance.yaml names none',
      'add to appliance.yaml: prisma: { dir: backend }, where the folder prisma/ lies',
    );
  return commit === undefined
    ? migrationsInCheckout(directory, folder)
    : await migrationsAt(runtime, directory, commit, folder);
}

/**
 * What Prisma's migration_lock.toml says; where there is none, what the database is.
 *
 * @throws Refusal where it is of another kind than the database: Prisma would refuse it, too (P3019)
 */
export async function readProvider(
  { runtime, directory, database }: Pick<Appliance, 'runtime' | 'directory' | 'database'>,
  config: Config,
  commit?: string,
): Promise<Provider> {
  const file = join(migrationsFolder(config) ?? '', 'migration_lock.toml');
  const live = join(directory, file);
  const text =
    commit === undefined
      ? existsSync(live)
        ? readFileSync(live, 'utf8')
        : ''
      : ((await fileAt(runtime, directory, commit, file)) ?? '');
  const engine = database?.engine ?? 'postgresql';
  const named = /^\s*provider\s*=\s*"(\w+)"/m.exec(text)?.[1]?.replace(/^postgres$/, 'postgresql') ?? engine;
  if (named === 'sqlite' || named === 'postgresql') if (!database || named === engine) return named;
  throw new Refusal(
    `cannot read the schema migrations: migration_lock.toml says that they are for ${named}, and the database is ${engine} (P3019)`,
    commit === undefined
      ? `bring it back: git -C ${shellWord(directory)} checkout HEAD -- ${shellWord(file)}`
      : 'ask the vendor for a release that has it right',
  );
}

/** What the appliance's database says; undefined where there is none yet, or it does not answer. Starts nothing. */
export async function readRecorded({ database, state }: Appliance): Promise<Recorded | undefined> {
  if (!database || !state.isInstalled()) return undefined;
  try {
    return { applied: await database.appliedMigrations(), inspection: await database.inspectSchema() };
  } catch {
    return undefined;
  }
}

export function sizesOf({ tables }: SchemaInspection): TableSizes {
  return new Map(tables.map(({ schema, name, rows, bytes }) => [tableKey(schema, name), { rows, bytes }]));
}

/**
 * Looks at migrations, at these or at all of them.
 *
 * @param names those to look at; the others only tell what there is by then
 */
export async function lintMigrations(
  config: Config,
  migrations: readonly MigrationFile[],
  {
    names,
    recorded,
    provider = 'postgresql',
  }: {
    names?: ReadonlySet<string> | undefined;
    recorded?: Recorded | undefined;
    provider?: Provider;
  },
): Promise<Linted[]> {
  const sizes = recorded && sizesOf(recorded.inspection);
  const review = provider === 'sqlite' ? await sqliteReviewer(sizes) : await postgresReviewer(sizes);
  const done = (recorded?.applied ?? []).filter(({ finished, rolledBack }) => finished && !rolledBack);
  return lint(migrations, review, {
    pending: names,
    applied: new Map(done.map(({ name, checksum }) => [name, checksum])),
    requireDown: config.prisma?.requireDown ?? false,
  });
}
