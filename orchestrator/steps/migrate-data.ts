import { join } from 'node:path';
import { baseEnvironment, readApplianceEnvironment } from '../config/environment.ts';
import type { Step, StepContext } from '../pipeline/step.ts';
import { toolEnvironment } from './builds.ts';

export const migrateData: Step = {
  name: 'migrate-data',
  title: 'Data migrations',
  async apply(context) {
    const environment = (await context.appliance.database?.windowEnvironment(context.runId)) ?? {};
    await runDataMigrations({ ...context, environment });
  },
  skip: async ({ target }) =>
    await Promise.resolve(target.config.prisma?.dataMigrations ? false : 'none configured'),
};

/** The data migrations belong to the backend: its own run.sh runs them, with the orchestrator or without. */
export async function runDataMigrations(
  context: Pick<StepContext, 'appliance' | 'target' | 'note' | 'output'> & {
    environment: Record<string, string>;
  },
): Promise<void> {
  const { appliance, target, note, output } = context;
  const migrations = target.config.prisma?.dataMigrations;
  if (!migrations) return;
  const folder = join(appliance.directory, migrations.dir);
  await appliance.runtime.run(
    {
      file: 'bash',
      args: [join(folder, 'run.sh')],
      cwd: join(appliance.directory, target.config.prisma?.dir ?? '.'),
      env: {
        ...baseEnvironment(appliance.node),
        ...toolEnvironment(appliance),
        HOLDFAST_NODE: appliance.node,
        ...readApplianceEnvironment(target.config, appliance.directory, appliance.secrets),
        ...context.environment,
      },
      timeoutMs: migrations.timeout,
      label: 'data migrations',
    },
    {
      onLine: (line) => {
        note(line);
        output(line);
      },
    },
  );
}
