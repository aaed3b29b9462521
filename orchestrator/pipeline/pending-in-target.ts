import type { Appliance } from '../appliance/appliance.ts';
import { migrationNames, migrationsFolder, pendingMigrations } from '../schema-migrations/pending.ts';
import { filesAt } from '../tools/git-facts.ts';
import type { Origin, Target } from './step.ts';

/**
 * Schema migrations that an update would apply. Where a command of its own keeps the books, or no database is known,
 * what is installed counts as applied.
 */
export async function pendingInTarget(
  { runtime, directory, database }: Appliance,
  origin: Pick<Origin, 'commit'>,
  { commit, config }: Pick<Target, 'commit' | 'config'>,
): Promise<Set<string>> {
  const folder = migrationsFolder(config);
  if (folder === undefined || config.prisma?.deploy === 'none') return new Set();
  const namesAt = async (at: string) => migrationNames(await filesAt(runtime, directory, at, folder), folder);
  const pending = pendingMigrations(await namesAt(commit), (await database?.appliedMigrations()) ?? []);
  const isRecorded = database !== undefined && config.prisma?.deploy === 'holdfast';
  const installed = isRecorded ? [] : await namesAt(origin.commit);
  return new Set(pending.filter((name) => !installed.includes(name)));
}

/** The names of all that the target has; none where it keeps them elsewhere. */
export async function schemaMigrationsAt(
  { runtime, directory }: Pick<Appliance, 'runtime' | 'directory'>,
  { commit, config }: Pick<Target, 'commit' | 'config'>,
): Promise<string[]> {
  const folder = migrationsFolder(config);
  return folder === undefined
    ? []
    : migrationNames(await filesAt(runtime, directory, commit, folder), folder);
}
