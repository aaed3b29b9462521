import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toArgv } from '../appliance/services.ts';
import { readApplianceEnvironment } from '../config/environment.ts';
import { variablesOf } from '../config/database-schema.ts';
import type { Argv, BuildConfig } from '../config/schema.ts';
import { databaseVariables } from '../database/engine.ts';
import type { StepContext } from '../pipeline/step.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { toolEnvironment } from '../schema-migrations/prisma-cli.ts';
import { describeProducts, storeProduct } from '../snapshot/products.ts';
import { npmCi } from '../tools/npm.ts';
import type { Target } from '../pipeline/step.ts';

/** What installing and building need to know of a run; `setup` has no run and uses the same. */
export type BuildContext = Pick<StepContext, 'note' | 'output'> & {
  readonly appliance: Appliance;
  readonly target: Target;
  readonly signal?: AbortSignal;
  /** How the database is reached now: inside a window another way than outside. */
  readonly databaseEnvironment: () => Promise<Record<string, string>>;
};

export function buildsOf(target: Target, phase: BuildConfig['phase']): [string, BuildConfig][] {
  return Object.entries(target.config.builds).filter(([, build]) => build.phase === phase);
}

/** Moves what the snapshot vouches for out of the way, into the store: a build makes its products anew. */
export function storeProducts(
  { appliance, draft }: StepContext,
  builds: readonly [string, BuildConfig][],
): void {
  const manifest = JSON.parse(
    readFileSync(join(appliance.backupsDirectory, draft.id, 'manifest.json'), 'utf8'),
  ) as { products: ReturnType<typeof describeProducts> };
  const paths = new Set(
    builds.flatMap(([, build]) => build.products.map((product) => join(build.dir, product))),
  );
  for (const product of manifest.products) if (paths.has(product.path)) storeProduct(appliance, product);
}

/** A build inside the downtime window, which reaches the database past the fence. */
export function inWindow(context: StepContext): BuildContext {
  const { appliance, runId } = context;
  return {
    ...context,
    databaseEnvironment: async () => (await appliance.database?.windowEnvironment(runId)) ?? {},
  };
}

/** Installs a build's packages by its lockfile. */
export async function install(context: BuildContext, name: string, build: BuildConfig): Promise<void> {
  if (build.install === 'none') return;
  context.note(`installing the packages of ${name}`);
  const directory = join(context.appliance.directory, build.dir);
  if (build.install === 'auto') {
    if (!existsSync(join(directory, 'package-lock.json')))
      throw new Error(`${build.dir} has no package-lock.json to install by`);
    await run(context, build, npmCi(directory));
    return;
  }
  await runConfigured(context, name, build, build.install);
}

/** Runs a build's commands in order. */
export async function compile(context: BuildContext, name: string, build: BuildConfig): Promise<void> {
  for (const command of build.build) await runConfigured(context, name, build, command);
}

async function runConfigured(
  context: BuildContext,
  name: string,
  build: BuildConfig,
  command: Argv,
): Promise<void> {
  const [file, ...args] = toArgv(command);
  if (file === undefined) return;
  const label = [file, ...args].join(' ');
  context.note(`${name}: ${label}`);
  await run(context, build, { file, args, label, cwd: join(context.appliance.directory, build.dir) });
}

async function run(
  context: BuildContext,
  build: BuildConfig,
  command: Parameters<Appliance['runtime']['run']>[0],
): Promise<void> {
  const env = await buildEnvironment(context, build);
  await context.appliance.runtime.run(
    { timeoutMs: build.timeout, inside: build.container, ...command, env },
    { onLine: context.output },
  );
}

/** What a build may know. The address of the database only if it says that it needs it: some builds migrate. */
async function buildEnvironment(
  { appliance, target, databaseEnvironment }: BuildContext,
  build: BuildConfig,
): Promise<Record<string, string>> {
  const variables = readApplianceEnvironment(target.config, appliance.directory, appliance.secrets);
  for (const name of [...databaseVariables, ...variablesOf(target.config.database)]) delete variables[name];
  return {
    ...appliance.runtime.environment(appliance.node),
    ...toolEnvironment(appliance),
    HUSKY: '0',
    HOLDFAST_COMMIT: target.commit,
    ...variables,
    ...(build.database === 'available' ? await databaseEnvironment() : {}),
    ...build.env,
  };
}
