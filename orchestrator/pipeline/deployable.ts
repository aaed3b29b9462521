import type { Appliance } from '../appliance/appliance.ts';
import type { Config } from '../config/schema.ts';
import { Refusal } from '../lib/errors.ts';
import { plural } from '../lib/units.ts';
import { foldersWithoutSql, pathsInCheckout } from '../schema-migrations/migration-file.ts';
import { migrationNames, migrationsFolder, pendingMigrations } from '../schema-migrations/pending.ts';
import { filesAt } from '../tools/git-facts.ts';

/**
 * What Prisma would refuse in the window is refused before it: a folder without its file (P3015), and a database with
 * tables and no record of how they came (P3005).
 *
 * @param target without a commit it is what lies in the checkout
 * @param doing as in "cannot ...": "update to v3"
 * @throws Refusal that names it
 */
export async function verifyDeployable(
  { runtime, directory, database }: Appliance,
  { commit, config }: { readonly commit?: string; readonly config: Config },
  doing: string,
): Promise<void> {
  const folder = migrationsFolder(config);
  if (!database || folder === undefined || config.prisma?.deploy !== 'holdfast') return;
  const paths =
    commit === undefined
      ? pathsInCheckout(directory, folder)
      : await filesAt(runtime, directory, commit, folder);
  const [incomplete] = foldersWithoutSql(paths, folder);
  if (incomplete !== undefined)
    throw new Refusal(
      `cannot ${doing}: the schema migration ${incomplete} has a folder, but no migration.sql (P3015)`,
      commit === undefined
        ? 'bring the file back, or delete its folder'
        : 'ask the vendor for a release that has it',
    );
  const pending = pendingMigrations(migrationNames(paths, folder), await database.appliedMigrations());
  if (pending.length === 0) return;
  const { hasMigrationsTable, tables } = await database.inspectSchema();
  if (!hasMigrationsTable && tables.length > 0)
    throw new Refusal(
      `cannot ${doing}: the database has ${plural(tables.length, 'table')}, and no record of any schema migration (P3005)`,
      './run.sh migrate status says how to tell which of them are applied',
    );
}
