import type { Appliance } from '../appliance/appliance.ts';
import type { Config } from '../config/schema.ts';
import { Refusal } from '../lib/errors.ts';
import { plural } from '../lib/units.ts';
import { filesAt } from '../tools/git-facts.ts';
import { dataMigrationFiles, pendingDataMigrations, readDataMigrationStates } from './data-pending.ts';
import { pendingInTarget } from './pending-in-target.ts';
import type { Origin, Target } from './step.ts';
import { updateCommand } from './update-command.ts';

/**
 * Whether an update or a setup migrates the database by itself. In a test environment only where that was switched on:
 * there the schema is pushed, and thrown away.
 *
 * @param asked by `update --migrate`
 */
export function migratesByItself(
  { environment, prisma }: Pick<Config, 'environment' | 'prisma'>,
  asked = false,
): boolean {
  return environment !== 'test' || asked || prisma?.migrateInTest === true;
}

/** Why a step that migrates has nothing to do there. */
export const switchedOff = 'switched off: environment is test (update --migrate, or prisma.migrateInTest)';

/** What every run, `status` and `doctor` say of it. */
export const sharedNotice =
  'the database is shared with another environment (database.shared): it is backed up, never restored; rollback, migrate down and db reset are refused';

/**
 * A database that is not restored is migrated only where somebody said that the way leads forward.
 *
 * @throws Refusal that names what is pending
 */
export async function verifyForwardOnly(
  appliance: Appliance,
  origin: Pick<Origin, 'commit'>,
  target: Pick<Target, 'commit' | 'label' | 'config' | 'asked'>,
): Promise<void> {
  const { runtime, directory } = appliance;
  const { prisma } = target.config;
  const schema = [...(await pendingInTarget(appliance, origin, target))];
  const dir = prisma?.dataMigrations?.dir;
  const data =
    dir === undefined
      ? []
      : pendingDataMigrations(
          dataMigrationFiles(await filesAt(runtime, directory, target.commit, dir), dir),
          await readDataMigrationStates({ ...appliance, config: target.config }),
        );
  const all = [...schema, ...data];
  if (all.length === 0) return;
  throw new Refusal(
    `cannot migrate to ${target.label}: the database is shared with another environment, so that a failure could not take back ${plural(all.length, 'migration')} (${all.join(', ')})`,
    `if the code of both environments works before and after each of them: ${updateCommand(target, { forwardOnly: true })}`,
  );
}
