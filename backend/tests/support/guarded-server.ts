import { fastify, type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import { answerErrors } from '../../src/error-answers.ts';
import type { MigrationEngine } from '../../src/migration-engine.ts';
import { addMigrationRoutes } from '../../src/routes/migrations.ts';

/** The migration routes behind their key, with everything that they log. */
export class GuardedServer {
  readonly app: FastifyInstance;
  log = '';

  private constructor() {
    this.app = fastify({
      logger: { level: 'trace', stream: { write: (line: string) => void (this.log += line) } },
      ajv: { customOptions: { removeAdditional: false } },
    });
  }

  static async start(key: string, engine: MigrationEngine, isUpdating = false): Promise<GuardedServer> {
    const server = new GuardedServer();
    answerErrors(server.app);
    const parts = { key, engine, isUpdating: () => isUpdating };
    server.app.register(async (guarded) => await addMigrationRoutes(guarded, parts), {
      prefix: '/migration',
    });
    await server.app.ready();
    return server;
  }

  async close(): Promise<void> {
    this.app.server.closeAllConnections();
    await this.app.close();
  }
}

/** A log of the backend's kind, line by line. */
export function createLog(write: (line: string) => void): FastifyBaseLogger {
  return fastify({ logger: { stream: { write } } }).log;
}
