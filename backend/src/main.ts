import type { FastifyInstance } from 'fastify';
import { readBuildInfo } from './build-info.ts';
import { openDatabase, type Database } from './database.ts';
import { EnvironmentError, parseEnvironment } from './environment.ts';
import { createEngine } from './migration-engine.ts';
import { isGateClosed, parseMigrationSettings } from './migration-settings.ts';
import { buildServer } from './server.ts';
import { migrateAtStart } from './startup-migrations.ts';

/** Requests in flight get this long; with the disconnecting after it, the end comes within ten seconds. */
const DRAIN_MS = 8_000;

/**
 * Starts the API. Its only background work is the data migrations of AUTO_MIGRATE, which wait as any worker must that
 * is added: while the file exists that HOLDFAST_GATE_FILE names, everything written may still be rolled back. Refusing
 * outside requests in that time is the updater's part.
 */
async function start(): Promise<void> {
  const environment = parseEnvironment(process.env);
  const settings = parseMigrationSettings(process.env);
  const database = openDatabase(environment.databaseUrl, (error) =>
    app.log.warn({ err: error }, 'a database session was lost'),
  );
  const engine = createEngine(environment.databaseUrl, (line) => app.log.warn(`data migrations: ${line}`));
  const { developerKey: key, gateFile } = settings;
  const app = buildServer({
    prisma: database.prisma,
    build: await readBuildInfo(),
    logLevel: environment.logLevel,
    migrations: key === undefined ? undefined : { key, engine, isUpdating: () => isGateClosed(gateFile) },
  });
  const stopping = new AbortController();
  app.addHook('preClose', async () => {
    stopping.abort();
    engine.stop();
  });
  stopOnSignal(app, database);
  try {
    await app.listen({ host: environment.host, port: environment.port });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new EnvironmentError(
      `cannot start the backend: ${reason}. Set PORT or HOST to a free address, or stop what uses it`,
      { cause: error },
    );
  }
  await migrateAtStart(settings, engine, app.log, stopping.signal);
}

/**
 * Stops accepting, finishes what is in flight, disconnects, exits 0. Further signals change nothing: a supervisor that
 * signals the whole process group and a parent that forwards the signal make two of one.
 */
function stopOnSignal(app: FastifyInstance, database: Database): void {
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) return;
    stopping = true;
    app.log.info(`${signal}: finishing the requests in flight`);
    const cut = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS);
    app
      .close()
      .then(async () => await database.prisma.$disconnect())
      .catch((error: unknown) => app.log.error({ err: error }, 'stopping failed'))
      .finally(() => {
        clearTimeout(cut);
        process.exit(0);
      });
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

try {
  await start();
} catch (error) {
  if (!(error instanceof EnvironmentError)) throw error;
  console.error(error.message);
  process.exit(1);
}
