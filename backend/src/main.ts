import type { FastifyInstance } from 'fastify';
import { readBuildInfo } from './build-info.ts';
import { openDatabase, type Database } from './database.ts';
import { EnvironmentError, parseEnvironment } from './environment.ts';
import { buildServer } from './server.ts';

/** Requests in flight get this long; with the disconnecting after it, the end comes within ten seconds. */
const DRAIN_MS = 8_000;

/**
 * Starts the API. There is no background work here: a worker that is added must not run while the file exists that
 * HOLDFAST_GATE_FILE names, because until the update is committed everything written may still be rolled back. Refusing outside requests in that
 * time is the updater's part.
 */
async function start(): Promise<void> {
  const environment = parseEnvironment(process.env);
  const database = openDatabase(environment.databaseUrl, (error) =>
    app.log.warn({ err: error }, 'a database session was lost'),
  );
  const app = buildServer({
    prisma: database.prisma,
    build: await readBuildInfo(),
    logLevel: environment.logLevel,
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
