import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import type { AppliedMigration } from '../database/engine.ts';
import { HoldfastError, Refusal } from '../lib/errors.ts';

/** The folder of the schema migrations, relative to the checkout. */
export function migrationsFolder(config: Config): string | undefined {
  return config.prisma && (config.prisma.migrations ?? join(config.prisma.dir, 'prisma', 'migrations'));
}

/** Names of the migrations among the paths of a tree, in the order in which Prisma applies them. */
export function migrationNames(paths: readonly string[], folder: string): string[] {
  const names = paths
    .filter((path) => path.startsWith(`${folder}/`) && path.endsWith('/migration.sql'))
    .map((path) => path.slice(folder.length + 1).split('/')[0] ?? '');
  return [...new Set(names)].toSorted();
}

/** What a deploy would apply. */
export function pendingMigrations(names: readonly string[], applied: readonly AppliedMigration[]): string[] {
  const done = new Set(
    applied.filter((migration) => migration.finished && !migration.rolledBack).map(({ name }) => name),
  );
  return names.filter((name) => !done.has(name));
}

/** @throws Refusal if an earlier migration failed and stands in the way (Prisma's P3009) */
export function verifyNoFailedMigration(applied: readonly AppliedMigration[]): void {
  const failed = applied.find((migration) => !migration.finished && !migration.rolledBack);
  if (failed) {
    throw new Refusal(
      `cannot update: the schema migration ${failed.name} failed before and blocks all others (P3009)`,
      `./run.sh migrate status tells why; then ./run.sh migrate resolve --rolled-back ${failed.name} (or --applied ${failed.name}, where all of it is in the database)`,
    );
  }
}

/** After a deploy: an engine that crashed once let it exit 0 with nothing applied. Throws if one is missing. */
export function verifyAllApplied(names: readonly string[], applied: readonly AppliedMigration[]): void {
  const left = pendingMigrations(names, applied);
  if (left.length > 0) {
    throw new HoldfastError(`prisma migrate deploy ended well, but did not apply ${left.join(', ')}`, {
      exitCode: 1,
    });
  }
}
