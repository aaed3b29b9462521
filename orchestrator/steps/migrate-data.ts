import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { readApplianceEnvironment } from '../config/environment.ts';
import type { Config } from '../config/schema.ts';
import { hooksAround } from '../hooks/run-hooks.ts';
import { pendingDataMigrationsInCheckout, readDataMigrationStates } from '../pipeline/data-pending.ts';
import { migratesByItself, switchedOff } from '../pipeline/own-migrations.ts';
import type { Step, StepContext } from '../pipeline/step.ts';
import type { Command } from '../runtime/runtime.ts';
import { toolEnvironment } from '../schema-migrations/prisma-cli.ts';

export const migrateData: Step = {
  name: 'migrate-data',
  title: 'Data migrations',
  async apply(context) {
    const environment = (await context.appliance.database?.windowEnvironment(context.runId)) ?? {};
    const around = hooksAround(context, 'data-migration', 'window');
    await runDataMigrations({ ...context, environment, around });
  },
  skip: async (context) => await Promise.resolve(whyNot(context)),
};

function whyNot({ target, migrate }: Pick<StepContext, 'target' | 'migrate'>): string | false {
  if (!target.config.prisma?.dataMigrations) return 'none configured';
  return migratesByItself(target.config, migrate) ? false : switchedOff;
}

/** The same with the new version serving, which it goes on doing whatever comes of this. */
export const migrateDataAfterCommit: Step = {
  name: 'migrate-data',
  title: 'Data migrations (the new version serves)',
  async apply(context) {
    const environment = (await context.appliance.database?.environment()) ?? {};
    const around = hooksAround(context, 'data-migration', 'outside');
    await runDataMigrations({ ...context, environment, around });
  },
  skip: async (context) => await Promise.resolve(whyNot(context)),
  next: async ({ appliance, target }) => await nextAfterDataFailure({ ...appliance, config: target.config }),
};

/** The command that helps after a data migration failed. */
export async function nextAfterDataFailure(
  appliance: Pick<Appliance, 'directory' | 'config' | 'database'>,
): Promise<string> {
  const states = await readDataMigrationStates(appliance);
  const failed = [...states].find(([, state]) => state === 'FAILED')?.[0];
  return failed === undefined ? './run.sh data run' : `./run.sh data retry ${failed}`;
}

/** The data migrations belong to the backend: its own run.sh runs them, with the orchestrator or without. */
export async function runDataMigrations(
  context: Pick<StepContext, 'appliance' | 'target' | 'note' | 'output'> & {
    environment: Record<string, string>;
    /** What is to be done around each of them; they run all at once where absent. */
    around?: ((migration: string, work: () => Promise<void>) => Promise<void>) | undefined;
  },
): Promise<void> {
  const { appliance, target, note, output, environment, around } = context;
  const { config } = target;
  if (!config.prisma?.dataMigrations) return;
  const onLine = (line: string) => {
    note(line);
    output(line);
  };
  const run = async (...args: string[]) => {
    await appliance.runtime.run(dataMigrationsCommand(appliance, config, { args, environment }), { onLine });
  };
  if (around)
    for (const id of await pendingDataMigrationsInCheckout({ ...appliance, config }))
      await around(id, async () => await run('--only', id));
  // What came to be pending meanwhile, too.
  await run();
}

/**
 * A call of the run.sh that an appliance keeps beside its data migrations, with the appliance's own environment.
 *
 * @param call.args its flags; without any it runs what is pending
 */
export function dataMigrationsCommand(
  appliance: Appliance,
  config: Config,
  call: { readonly args?: readonly string[]; readonly environment: Readonly<Record<string, string>> },
): Command {
  const { dir = '.', dataMigrations } = config.prisma ?? {};
  return {
    inside: 'backend',
    file: 'bash',
    args: [join(appliance.directory, dataMigrations?.dir ?? dir, 'run.sh'), ...(call.args ?? [])],
    cwd: join(appliance.directory, dir),
    env: {
      ...appliance.runtime.environment(appliance.node),
      ...toolEnvironment(appliance),
      HOLDFAST_NODE: appliance.node,
      ...readApplianceEnvironment(config, appliance.directory, appliance.secrets),
      ...call.environment,
    },
    ...(dataMigrations && { timeoutMs: dataMigrations.timeout }),
    label: 'data migrations',
  };
}
