import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { untilAborted } from '../appliance/appliance.ts';
import type { Database } from '../database/engine.ts';
import { removeDurably } from '../lib/atomic-file.ts';
import { exitCodes, InterruptedError, messageOf, NotRestoredError, Refusal } from '../lib/errors.ts';
import { takeSignals } from '../lib/signals.ts';
import { CommandError } from '../runtime/runtime.ts';
import { prismaCli } from '../schema-migrations/prisma-cli.ts';
import { registryPath } from '../snapshot/registry.ts';
import { runDataMigrations } from '../steps/migrate-data.ts';
import { behindSnapshot, callPrisma, verifyAllowed } from './development.ts';
import { dumpDatabase, findDump, restoreRegistryOf } from './dumps.ts';
import { locked, type Locked } from './locked.ts';
import type { Session } from './session.ts';

/** `db push`: the schema as schema.prisma has it, without a migration. For tests and development. */
export async function pushSchema(session: Session, allowDestructive: boolean): Promise<number> {
  return await locked(session, 'db push', async (state) => {
    const database = verifyAllowed(state.appliance, 'push the schema', ['test', 'development']);
    await database.ensureRunning();
    await database.verifyAlone('push the schema');
    return await behindSnapshot(session, state, 'before-push', async (back) => {
      try {
        await callPrisma(session, state, ['db', 'push', ...(allowDestructive ? ['--accept-data-loss'] : [])]);
      } catch (error) {
        if (!(error instanceof CommandError) || !/--accept-data-loss/.test(`${error.stdout}${error.stderr}`))
          throw error;
        throw new Refusal(
          'cannot push the schema: it would take data away; Prisma says above what',
          './run.sh db push --allow-destructive',
          error,
        );
      }
      session.ui.result(
        { type: 'result', ok: true, exitCode: 0, command: 'db push', ...back },
        `The database is as schema.prisma says.\n  Back:  ${back.back}`,
      );
    });
  });
}

/** Takes the data-migration engine's own tables away. In a file of SQLite, Prisma's reset has done so, unless they are external to it. */
const forgetRecords: Readonly<Record<Database['engine'], string>> = {
  postgresql: 'DROP SCHEMA IF EXISTS holdfast CASCADE;',
  sqlite: ['migrations', 'migration_batches', 'migration_failures']
    .map((name) => `DROP TABLE IF EXISTS holdfast_data_${name};`)
    .join('\n'),
};

/** `db reset`: everything out, all migrations again, the seed, the data migrations. For development. */
export async function resetDatabase(session: Session, allowDestructive: boolean): Promise<number> {
  return await locked(session, 'db reset', async (state) => {
    const { appliance } = state;
    const database = verifyAllowed(appliance, 'reset the database', ['development']);
    await database.ensureRunning();
    // Prisma would find out only after it has taken the tables away.
    await database.verifyAlone('reset the database');
    if (!allowDestructive) await consentToReset(session, appliance.config.name);
    return await behindSnapshot(session, state, 'before-reset', async (back) => {
      try {
        await resetAll(session, state, database);
      } catch (error) {
        throw new NotRestoredError(`the database was reset only in part: ${messageOf(error)}`, {
          next: `${back.back} brings everything back`,
          cause: error,
        });
      }
      session.ui.result(
        { type: 'result', ok: true, exitCode: 0, command: 'db reset', ...back },
        `Emptied, migrated and seeded.\n  Back:  ${back.back}`,
      );
    });
  });
}

async function resetAll(session: Session, state: Locked, database: Database): Promise<void> {
  const { appliance, signals } = state;
  await callPrisma(session, state, ['migrate', 'reset', '--force']);
  // What was done to the rows of before; Prisma knows nothing of it.
  await callPrisma(session, state, ['db', 'execute', '--stdin'], { input: forgetRecords[database.engine] });
  const registry = registryPath(appliance.config);
  if (registry !== undefined && existsSync(join(appliance.directory, registry)))
    removeDurably(join(appliance.directory, registry));
  await callPrisma(session, state, ['db', 'seed']);
  await runDataMigrations({
    appliance: untilAborted(appliance, signals.abort.signal),
    target: { commit: '', label: '', config: appliance.config },
    note: () => {},
    output: (line) => session.ui.say(line),
    environment: await database.environment(),
  });
}

/** @throws Refusal unless somebody at a terminal types the appliance's name */
async function consentToReset({ ui }: Session, name: string): Promise<void> {
  const answer = await ui.ask(`Every row of the database goes. Type ${name} to go on: `);
  if (answer === name) return;
  throw new Refusal(
    answer === undefined
      ? 'cannot reset the database: nobody is there to type its name'
      : 'the answer was another one. Nothing was changed',
    'if it is meant so: ./run.sh db reset --allow-destructive',
  );
}

/**
 * `db restore`: a dump that `db push`, `db reset` or `migrate dev` made takes the database's place, whole or not at all;
 * the registry of data migrations with it; all other files stay as they are. What was there becomes a dump itself. For tests and development.
 */
export async function restoreDump(session: Session, wanted: string): Promise<number> {
  return await locked(session, 'db restore', async ({ appliance }) => {
    const database = verifyAllowed(appliance, 'restore the dump', ['test', 'development']);
    const { dump, facts } = findDump(appliance, wanted);
    await database.ensureRunning();
    await database.verifyAlone('restore the dump');
    const back = await dumpDatabase(session, appliance, database, { name: 'before-restore', keep: dump });
    await database.replaceBy(dump, facts, newReplacementId());
    restoreRegistryOf(appliance, dump);
    session.ui.result(
      { type: 'result', ok: true, exitCode: exitCodes.ok, command: 'db restore', restored: dump, ...back },
      `The database is as it was in ${dump}.\n  Back:  ${back.back}`,
    );
    return exitCodes.ok;
  });
}

/** No run's, and nobody else's: the lock is held, and the clock is in it. */
const newReplacementId = () => new Date().toISOString().replaceAll(/\D/g, '').slice(0, 17);

/** `db studio`: Prisma's own, on the right database, until it is stopped. */
export async function openStudio(session: Session, options: { port?: string }): Promise<number> {
  const appliance = session.open();
  const { database, config } = appliance;
  if (!database || !config.prisma)
    throw new Refusal('cannot open Prisma Studio: this appliance has no Prisma', 'prisma in appliance.yaml');
  await database.ensureRunning();
  const environment = await database.environment();
  const args = [
    'studio',
    '--browser',
    'none',
    ...(options.port === undefined ? [] : ['--port', options.port]),
  ];
  const { timeoutMs: _, ...command } = prismaCli(appliance, config, args, environment);
  const signals = takeSignals(() => {});
  try {
    // It connects by itself, without our engine: the whole address, which only its own user can read there.
    await untilAborted(appliance, signals.abort.signal).runtime.run(
      { ...command, env: { ...command.env, ...environment } },
      { onLine: (line) => session.ui.say(line) },
    );
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
  } finally {
    signals.release();
  }
  session.ui.result({ type: 'result', ok: true, exitCode: 0, command: 'db studio' }, 'Prisma Studio ended.');
  return exitCodes.ok;
}
