import type { Appliance } from '../appliance/appliance.ts';
import type { ScratchDatabase } from '../database/scratch.ts';
import { HoldfastError } from '../lib/errors.ts';
import { migrateTo } from './engine/migrations-up-to.ts';
import { lintMigrations, readMigrations, readProvider } from './inspect.ts';
import { prismaCli, runPrisma } from './prisma-cli.ts';
import { verifyStaysInside } from './stays-inside.ts';

/** Applies the migrations of the checkout to a scratch database, up to one of them, by Prisma itself. */
export async function deployToScratch(
  appliance: Appliance,
  scratch: ScratchDatabase,
  to: string,
): Promise<void> {
  const { config } = appliance;
  const migrations = (await readMigrations(appliance, config)).filter(({ name }) => name <= to);
  const provider = await readProvider(appliance, config);
  verifyStaysInside(
    await lintMigrations(config, migrations, { provider }),
    'try the migrations on a scratch database',
    // Most of them were applied to the live database long ago.
    { unread: 'allow' },
  );
  const environment = { ...scratch.environment, [migrateTo]: to };
  const command = prismaCli(appliance, config, ['migrate', 'deploy'], environment);
  await runPrisma(appliance, command).catch((error: unknown) => {
    throw error instanceof HoldfastError ? failedInScratch(error) : error;
  });
  const applied = await scratch.appliedMigrations();
  if (applied.some(({ name, finished }) => name === to && finished)) return;
  throw new HoldfastError(`prisma migrate deploy ended well, but did not apply ${to}`, { exitCode: 1 });
}

/** The scratch database is gone with its record of the failure, so that the words that are here are all there is. */
function failedInScratch(error: HoldfastError): HoldfastError {
  const name = /^Migration name: (\S+)$/m.exec(error.message)?.[1];
  if (name === undefined) return error;
  return new HoldfastError(error.message, {
    exitCode: error.exitCode,
    next: `mend its SQL (./run.sh migrate show ${name} shows it), then the same again`,
    cause: error,
  });
}

/**
 * What turns a scratch database into what a Prisma schema says, as SQL; empty where nothing does.
 *
 * @param schema path of the schema file
 */
export async function diffToSchema(
  appliance: Appliance,
  scratch: ScratchDatabase,
  schema: string,
): Promise<string> {
  const { config } = appliance;
  const args = ['migrate', 'diff', '--from-config-datasource', '--to-schema', schema, '--script'];
  const { stdout } = await runPrisma(appliance, prismaCli(appliance, config, args, scratch.environment));
  return /^-- This is an empty migration\.\s*$/.test(stdout) ? '' : stdout;
}

/** The scratch database as Prisma sees it: a schema as text. */
export async function pullSchema(appliance: Appliance, scratch: ScratchDatabase): Promise<string> {
  const { config } = appliance;
  const { stdout } = await runPrisma(
    appliance,
    prismaCli(appliance, config, ['db', 'pull', '--print'], scratch.environment),
  );
  return stdout;
}
