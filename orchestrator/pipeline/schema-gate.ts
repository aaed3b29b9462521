import type { Appliance } from '../appliance/appliance.ts';
import { Refusal } from '../lib/errors.ts';
import { visible } from '../lib/printable.ts';
import { shellWord } from '../lib/shell-word.ts';
import { lintMigrations, readMigrations, readProvider, readRecorded } from '../schema-migrations/inspect.ts';
import type { Linted } from '../schema-migrations/lint/lint.ts';
import { judge } from '../schema-migrations/lint/verdict.ts';
import { isAtLeast, versionAt } from '../tools/versions.ts';
import { pendingMigrations } from '../schema-migrations/pending.ts';
import { pendingInTarget } from './pending-in-target.ts';
import type { Origin, Target } from './step.ts';
import { updateCommand } from './update-command.ts';

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
  const provider = await readProvider(appliance, target.config, target.commit);
  const linted = await lintMigrations(target.config, migrations, { names: pending, recorded, provider });
  return linted.filter(({ migration }) => pending.has(migration.name));
}

/** The same for what lies in the checkout, which `migrate deploy` applies. */
export async function lintCheckout(appliance: Appliance, to?: string): Promise<Linted[]> {
  const migrations = await readMigrations(appliance, appliance.config);
  const recorded = await readRecorded(appliance);
  const pending = pendingMigrations(
    migrations.map(({ name }) => name),
    recorded?.applied ?? [],
  ).filter((name) => to === undefined || name <= to);
  const names = new Set(pending);
  const provider = await readProvider(appliance, appliance.config);
  const linted = await lintMigrations(appliance.config, migrations, { names, recorded, provider });
  return linted.filter(({ migration }) => names.has(migration.name));
}

/** The command that shows what a version would bring. */
export const lintCommand = ({ label }: Pick<Target, 'label'>) =>
  `./run.sh migrate lint --to ${shellWord(label)}`;

/** The same of an update. Throws nothing: what `update` would refuse with is told by a rehearsal, too. */
export function refusalOfLoss(
  linted: readonly Linted[],
  target: Pick<Target, 'label' | 'asked'>,
): Refusal | undefined {
  return unwantedLoss(linted, `update to ${target.label}`, {
    look: lintCommand(target),
    allow: updateCommand(target, { allowDestructive: true }),
  });
}

/**
 * What takes data away does so only where somebody said so: the vendor in the file, or the operator now.
 *
 * @param doing as in "cannot ...": "update to v3"
 * @param commands what shows it, and what does it all the same
 * @returns a refusal that names the first
 */
export function unwantedLoss(
  linted: readonly Linted[],
  doing: string,
  commands: { readonly look: string; readonly allow: string },
): Refusal | undefined {
  const { destructive } = judge(linted);
  const [first] = destructive;
  if (!first) return undefined;
  const others = destructive.length === 1 ? '' : ` (and ${destructive.length - 1} more such)`;
  return new Refusal(
    `cannot ${doing}: the schema migration ${visible(first.migration)} ${first.message}${others}, and what is in there is lost`,
    `look at it: ${commands.look}; if it is meant so: ${commands.allow}`,
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
      `cannot go to ${target.label}: the schema migration ${migration.name} requires application version ${wanted} or newer, and ${target.label} is ${version ?? 'of no version that could be told'}`,
      'ask the vendor for a release that has both',
    );
  }
}
