import type { Appliance } from '../appliance/appliance.ts';
import { migrationNames, migrationsFolder, pendingMigrations } from '../schema-migrations/pending.ts';
import { filesAt } from '../tools/git-facts.ts';
import type { Origin, Target } from './step.ts';

/** Schema migrations that an update would apply. A command of its own keeps its own books: what is installed counts. */
export async function pendingInTarget(
  { runtime, directory, database }: Appliance,
  origin: Pick<Origin, 'commit'>,
  { commit, config }: Pick<Target, 'commit' | 'config'>,
): Promise<Set<string>> {
  const folder = migrationsFolder(config);
  if (folder === undefined || config.prisma?.deploy === 'none') return new Set();
  const namesAt = async (at: string) => migrationNames(await filesAt(runtime, directory, at, folder), folder);
  const pending = pendingMigrations(await namesAt(commit), (await database?.appliedMigrations()) ?? []);
  const installed = config.prisma?.deploy === 'holdfast' ? [] : await namesAt(origin.commit);
  return new Set(pending.filter((name) => !installed.includes(name)));
}
