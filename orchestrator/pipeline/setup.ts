import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { untilAborted, type Appliance } from '../appliance/appliance.ts';
import { doorsOf, verifyPortsAreOurs } from '../appliance/services.ts';
import { verifyHooks } from '../hooks/verify-hooks.ts';
import { removeDurably, writeFileAtomic } from '../lib/atomic-file.ts';
import { messageOf, Refusal } from '../lib/errors.ts';
import { removeTree } from '../lib/remove-tree.ts';
import { buildsOf, compile, install } from '../steps/builds.ts';
import { nextAfterDataFailure, runDataMigrations } from '../steps/migrate-data.ts';
import { lateBuildsTitle } from '../steps/build-frontend.ts';
import { deploy, findPending, schemaMigrationsTitle } from '../steps/migrate-schema.ts';
import { ensurePrograms } from '../steps/programs.ts';
import { verifyProvider } from '../schema-migrations/provider.ts';
import { noteInstalled } from './after-run.ts';
import type { Driver, DriverTask, Listener } from './events.ts';
import type { StepName } from './journal-entries.ts';
import { migratesByItself, switchedOff } from './own-migrations.ts';
import { startAndVerify } from './starting.ts';
import { forgetSetup, noteSetup } from './setup-progress.ts';
import { readOrigin } from './target.ts';

/**
 * Sets up a checkout that runs nothing yet: database, packages, build, migrations, services. What is there already is
 * left alone, so an appliance that was run by hand before is taken over as it is; a database that holds data is not
 * migrated here, since that needs a snapshot first. Killed or failed, it is simply run again.
 */
export async function setUp(
  whole: Appliance,
  options: { driver: Driver; listener: Listener; signal: AbortSignal },
): Promise<void> {
  const appliance = untilAborted(whole, options.signal);
  const { config, database } = appliance;
  const origin = await readOrigin(appliance);
  const target = { commit: origin.commit, label: origin.label, config };
  const base = {
    databaseEnvironment: async () => (await database?.environment()) ?? {},
    appliance,
    target,
    signal: options.signal,
    output: (line: string) => options.listener({ type: 'output', line }),
  };
  const environment = async () => (await database?.environment()) ?? {};
  const task = (step: StepName, title: string, run: Work): DriverTask => ({
    title,
    run: async (show) => await runStep(whole, { step, title, run, show, ...options }),
  });
  const build = (phase: 'before-migrations' | 'after-migrations') => async (note: (line: string) => void) => {
    let made = 0;
    const builds = buildsOf(target, phase);
    if (builds.length === 0) return 'none configured';
    for (const [name, one] of builds) {
      const marker = join(appliance.state.path, `building-${name}`);
      const products = one.products.map((product) => join(appliance.directory, one.dir, product));
      // Half-made products of a build that failed or was killed are worth nothing.
      if (existsSync(marker)) for (const product of products) removeTree(product);
      else if (products.length > 0 && products.every((product) => existsSync(product))) continue;
      writeFileAtomic(marker, '');
      await install({ ...base, note }, name, one);
      await compile({ ...base, note }, name, one);
      removeDurably(marker);
      made += 1;
    }
    return made === 0 ? 'built already' : undefined;
  };
  const { dataMigrations } = config.prisma ?? {};
  const isLate = dataMigrations?.when === 'after-start';
  const migrateData = task('migrate-data', 'Data migrations', async (note) => {
    if (!dataMigrations) return 'none configured';
    if (!migratesByItself(config)) return switchedOff;
    try {
      await runDataMigrations({ ...base, note, environment: await environment() });
    } catch (error) {
      if (dataMigrations.onFailure !== 'warn' || options.signal.aborted) throw error;
      const message = `${messageOf(error)}\nThe appliance is set up all the same. Next: ${await nextAfterDataFailure(appliance)}`;
      options.listener({ type: 'warning', message });
    }
    return undefined;
  });
  const tasks = [
    task('preflight', 'Check the appliance', async (note) => {
      await ensurePrograms(appliance.runtime, config, note);
      await verifyProvider(appliance, config);
      appliance.state.ensure();
      await appliance.runtime.setUp(note);
      for (const message of await verifyHooks(appliance)) options.listener({ type: 'warning', message });
      await verifyPortsAreOurs(appliance, config);
      return undefined;
    }),
    task('prepare-database', 'Database', async () => {
      if (!database) return 'none';
      await database.ensureRunning();
      return undefined;
    }),
    task('build-backend', 'Install and build', build('before-migrations')),
    task('migrate-schema', schemaMigrationsTitle(config), async (note) => {
      const { prisma } = config;
      if (!prisma || prisma.deploy === 'none') return 'none configured';
      if (!migratesByItself(config)) return switchedOff;
      const pending = await findPending(appliance, config);
      const isOwn = prisma.deploy !== 'holdfast' || prisma.before.length + prisma.after.length > 0;
      if (!database || (pending.length === 0 && !isOwn)) return 'none pending';
      const { tables } = await database.describe();
      const holdsData = tables.some(({ rows }) => rows > 0);
      if (holdsData && pending.length === 0) return 'left alone: the database holds data';
      if (holdsData) {
        throw new Refusal(
          `cannot set up: the database holds data already, and ${pending.length} schema migrations are not applied to it (${pending[0]}, ...)`,
          'apply those of this version first, as you did before Holdfast (npx prisma migrate deploy); then ./run.sh setup',
        );
      }
      await deploy({ ...base, note, environment: await environment() });
      return undefined;
    }),
    ...(isLate ? [] : [migrateData]),
    task('build-frontend', lateBuildsTitle(config), build('after-migrations')),
    task('restart-services', 'Start the services', async (note) => {
      await startAndVerify(appliance, config, origin, { note });
      await appliance.runtime.expose(doorsOf(config));
      return undefined;
    }),
    ...(isLate ? [migrateData] : []),
  ];
  // Why it failed is told with what to do about it, by the caller.
  await options.driver.drive(tasks, { tellsWhy: false });
  noteInstalled(appliance, origin.commit);
  forgetSetup(appliance.state);
}

type Work = (note: (line: string) => void) => Promise<string | undefined>;

/** One step of a setup: noted on disk, told to those who listen as a run tells its own. */
async function runStep(
  { state, secrets }: Appliance,
  {
    step,
    title,
    run,
    show,
    listener,
    signal,
  }: {
    step: StepName;
    title: string;
    run: Work;
    show: (line: string) => void;
    listener: Listener;
    signal: AbortSignal;
  },
): Promise<string | undefined> {
  signal.throwIfAborted();
  const about = { type: 'step', step, half: 'apply', title } as const;
  const startedAt = performance.now();
  noteSetup(state, { step, title });
  listener({ ...about, state: 'started' });
  try {
    const skipped = await run((message) => {
      show(message);
      listener({ type: 'note', message });
    });
    const ms = performance.now() - startedAt;
    listener(
      skipped === undefined
        ? { ...about, state: 'finished', ms }
        : { ...about, state: 'skipped', message: skipped },
    );
    return skipped;
  } catch (error) {
    const message = messageOf(error);
    listener({ ...about, state: 'failed', message, ms: performance.now() - startedAt });
    noteSetup(state, { step, title, failure: secrets.mask(message) });
    throw error;
  }
}
