import { fastify, type FastifyInstance } from 'fastify';
import type { BuildInfo } from './build-info.ts';
import { answerErrors } from './error-answers.ts';
import type { PrismaClient } from './generated/client.ts';
import { addDepartmentRoutes } from './routes/departments.ts';
import { addHealthRoutes } from './routes/health.ts';
import { addMachineRoutes } from './routes/machines.ts';
import { addMigrationRoutes, type MigrationParts } from './routes/migrations.ts';

/** What the server needs; it owns none of it. */
export interface ServerParts {
  readonly prisma: PrismaClient;
  readonly build: BuildInfo;
  readonly logLevel: string;
  /** Undefined: there are no migration routes. */
  readonly migrations: MigrationParts | undefined;
}

/**
 * Builds the API without listening. Bodies are taken at their word: a number in quotes is refused, not converted, and
 * an unknown property is an error, not dropped in silence.
 */
export function buildServer({ prisma, build, logLevel, migrations }: ServerParts): FastifyInstance {
  const app = fastify({
    logger: { level: logLevel },
    bodyLimit: 64 * 1024,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, allowUnionTypes: true } },
  });
  answerErrors(app);
  addHealthRoutes(app, prisma, build);
  app.register(
    async (api) => {
      addDepartmentRoutes(api, prisma);
      addMachineRoutes(api, prisma);
    },
    { prefix: '/api' },
  );
  if (migrations)
    app.register(async (guarded) => await addMigrationRoutes(guarded, migrations), { prefix: '/migration' });
  return app;
}
