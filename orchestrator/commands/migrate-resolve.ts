import { Refusal, UsageError } from '../lib/errors.ts';
import { prismaCli, runPrisma } from '../schema-migrations/prisma-cli.ts';
import { locked } from './locked.ts';
import { snapshotName, takeSnapshotQuietly } from './quiet-snapshot.ts';
import type { Session } from './session.ts';

export interface ResolveOptions {
  readonly applied?: string;
  readonly rolledBack?: string;
}

/** `migrate resolve`: Prisma's own, after a snapshot. It changes the record of a migration, and not the schema. */
export async function resolveMigration(
  session: Session,
  { applied, rolledBack }: ResolveOptions,
): Promise<number> {
  const name = applied ?? rolledBack;
  if (name === undefined || (applied !== undefined && rolledBack !== undefined))
    throw new UsageError(
      '"migrate resolve" needs one of --applied NAME and --rolled-back NAME',
      './run.sh help migrate',
    );
  return await locked(session, 'migrate resolve', async ({ appliance, signals }) => {
    const { config, database } = appliance;
    if (!database || config.prisma?.deploy !== 'holdfast')
      throw new Refusal(
        'cannot resolve a migration: Prisma does not apply them here',
        'prisma.deploy in appliance.yaml names what does',
      );
    const taken = await takeSnapshotQuietly(
      session,
      { appliance, signals },
      snapshotName(appliance, `before-resolve-${name}`),
    );
    if (taken.event.exitCode !== 0) {
      session.ui.result(taken.event, taken.text);
      return taken.event.exitCode;
    }
    const how = applied === undefined ? '--rolled-back' : '--applied';
    const command = prismaCli(
      appliance,
      config,
      ['migrate', 'resolve', how, name],
      await database.environment(),
    );
    await runPrisma(appliance, command, { onLine: (line) => session.ui.say(line) });
    const snapshot = String(taken.event['snapshot']);
    session.ui.result(
      { type: 'result', ok: true, exitCode: 0, command: 'migrate resolve', migration: name, snapshot },
      `${name} is recorded as ${applied === undefined ? 'rolled back' : 'applied'}.\n  Back:  ./run.sh rollback ${snapshot}\n  Next:  ./run.sh migrate status`,
    );
    return 0;
  });
}
