import { globSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { toArgv } from '../appliance/services.ts';
import { readApplianceEnvironment } from '../config/environment.ts';
import type { Argv, Config } from '../config/schema.ts';
import { hooksAround } from '../hooks/run-hooks.ts';
import { plural } from '../lib/units.ts';
import { migratesByItself, switchedOff } from '../pipeline/own-migrations.ts';
import type { Step, StepContext } from '../pipeline/step.ts';
import { migrateTo } from '../schema-migrations/engine/migrations-up-to.ts';
import {
  migrationNames,
  migrationsFolder,
  pendingMigrations,
  verifyAllApplied,
} from '../schema-migrations/pending.ts';
import { prismaCli, toolEnvironment } from '../schema-migrations/prisma-cli.ts';

export const migrateSchema: Step = {
  name: 'migrate-schema',
  title: 'Schema migrations',
  titleFor: schemaMigrationsTitle,
  async apply(context) {
    const { appliance, runId } = context;
    const environment = (await appliance.database?.windowEnvironment(runId)) ?? {};
    await deploy({
      ...context,
      ...{ environment, to: context.migrating?.to },
      around: hooksAround(context, 'migration', 'window'),
    });
  },
  skip: async ({ appliance, target, kind, migrate }) => {
    const { prisma } = target.config;
    if (!prisma || prisma.deploy === 'none') return 'none configured';
    if (kind === 'update' && !migratesByItself(target.config, migrate)) return switchedOff;
    if (prisma.deploy !== 'holdfast' || prisma.before.length + prisma.after.length > 0) return false;
    return (await findPending(appliance, target.config)).length === 0 && 'none pending';
  },
};

/** Prisma's are called so; an appliance without Prisma, or with a command of its own, has others or none. */
export function schemaMigrationsTitle({ prisma }: Config): string {
  return prisma?.deploy === 'holdfast' ? 'Prisma schema migrations' : 'Schema migrations';
}

/** Names of the migrations in the checkout. */
function namesInCheckout(appliance: Appliance, config: Config): string[] {
  const folder = migrationsFolder(config);
  if (folder === undefined) return [];
  return migrationNames(globSync(`${folder}/*/migration.sql`, { cwd: appliance.directory }), folder);
}

/** What a deploy of the checkout would apply. */
export async function findPending(appliance: Appliance, config: Config): Promise<string[]> {
  // Another command keeps its own books.
  if (!appliance.database || config.prisma?.deploy !== 'holdfast') return [];
  return pendingMigrations(namesInCheckout(appliance, config), await appliance.database.appliedMigrations());
}

/**
 * Applies the schema migrations of the checkout, and proves that all of them are applied.
 *
 * @throws CommandError with Prisma's words
 */
export async function deploy(
  context: Pick<StepContext, 'appliance' | 'target' | 'note' | 'output'> & {
    environment: Record<string, string>;
    /** The last migration to apply; all where absent. Prisma's own deploy only. */
    to?: string | undefined;
    /** What is to be done around each of them; they are applied all at once where absent. Prisma's own deploy only. */
    around?: ((migration: string, work: () => Promise<void>) => Promise<void>) | undefined;
  },
): Promise<void> {
  const { appliance, target, note, output, to, around } = context;
  const { prisma } = target.config;
  if (!prisma || prisma.deploy === 'none') return;
  const env = {
    ...appliance.runtime.environment(appliance.node),
    ...toolEnvironment(appliance),
    ...readApplianceEnvironment(target.config, appliance.directory, appliance.secrets),
    ...context.environment,
  };
  const cwd = join(appliance.directory, prisma.dir);
  const run = async (command: Argv) => {
    const [file = '', ...args] = toArgv(command);
    const label = [file, ...args].join(' ');
    note(label);
    await appliance.runtime.run(
      { inside: 'backend', file, args, cwd, env, timeoutMs: prisma.timeout, label },
      { onLine: output },
    );
  };
  const wanted = (names: readonly string[]) => names.filter((name) => to === undefined || name <= to);
  const pending = wanted(await findPending(appliance, target.config));
  for (const command of prisma.before) await run(command);
  if (prisma.deploy !== 'holdfast') {
    await run(prisma.deploy);
  } else if (pending.length > 0) {
    const deployTo = async (last: string | undefined) => {
      const command = prismaCli(appliance, target.config, ['migrate', 'deploy'], {
        ...context.environment,
        ...(last === undefined ? {} : { [migrateTo]: last }),
      });
      note(command.label ?? '');
      await appliance.runtime.run(command, { onLine: output });
    };
    if (around) for (const name of pending) await around(name, async () => await deployTo(name));
    else await deployTo(to);
    if (appliance.database)
      verifyAllApplied(
        wanted(namesInCheckout(appliance, target.config)),
        await appliance.database.appliedMigrations(),
      );
  }
  for (const command of prisma.after) await run(command);
  note(
    prisma.deploy === 'holdfast'
      ? `${plural(pending.length, 'migration')} applied`
      : 'ran the command of its own',
  );
}
