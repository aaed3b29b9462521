import type { Appliance } from '../appliance/appliance.ts';
import { Refusal } from '../lib/errors.ts';
import { lintMigrations, readMigrations, readRecorded } from '../schema-migrations/inspect.ts';
import type { Linted } from '../schema-migrations/lint/lint.ts';
import { judge } from '../schema-migrations/lint/verdict.ts';
import { isAtLeast, versionAt } from '../tools/versions.ts';
import { pendingInTarget } from './pending-in-target.ts';
import type { Origin, Target } from './step.ts';

/** The schema migrations that an update would apply, looked through; none where the appliance has none. Looks only. */
export async function lintTarget(
  appliance: Appliance,
  origin: Pick<Origin, 'commit'>,
  target: Pick<Target, 'commit' | 'config'>,
): Promise<Linted[]> {
  const pending = await pendingInTarget(appliance, origin, target);
  if (pending.size === 0) return [];
  const migrations = await readMigrations(appliance, target.config, target.commit);
  const recorded = await readRecorded(appliance);
  const linted = await lintMigrations(target.config, migrations, { names: pending, recorded });
  return linted.filter(({ migration }) => pending.has(migration.name));
}

/**
 * What takes data away does so only where somebody said so: the vendor in the file, or the operator now.
 *
 * @throws Refusal that names the first
 */
export function verifyNoUnwantedLoss(linted: readonly Linted[], label: string, doing: string): void {
  const { destructive } = judge(linted);
  const [first] = destructive;
  if (!first) return;
  const others = destructive.length === 1 ? '' : ` (and ${destructive.length - 1} more such)`;
  throw new Refusal(
    `cannot ${doing} to ${label}: its schema migration ${first.migration} ${first.message}${others}, and what is in there is lost`,
    `look at it: ./run.sh migrate lint --to ${label}; if it is meant so: ./run.sh ${doing} --allow-destructive`,
  );
}

/** `-- Requires application version >= X`: the code that runs on it afterwards. Throws Refusal where it is older. */
export async function verifyApplicationVersion(
  { runtime, directory }: Pick<Appliance, 'runtime' | 'directory'>,
  linted: readonly Linted[],
  target: Pick<Target, 'commit' | 'label'>,
): Promise<void> {
  const demanding = linted.filter(({ directives }) => directives.requiresVersion !== undefined);
  if (demanding.length === 0) return;
  const version = await versionAt(runtime, directory, target.commit);
  for (const { migration, directives } of demanding) {
    const wanted = directives.requiresVersion ?? '';
    if (version !== undefined && isAtLeast(version, wanted)) continue;
    throw new Refusal(
      `cannot update to ${target.label}: its schema migration ${migration.name} requires application version ${wanted} or newer, and ${target.label} is ${version ?? 'of no version that could be told'}`,
      'ask the vendor for a release that has both',
    );
  }
}
