import type { FastifyInstance } from 'fastify';
import type { BuildInfo } from '../build-info.ts';
import type { PrismaClient } from '../generated/client.ts';

const TIMEOUT_MS = 2_000;

/**
 * GET /health asks the database on every call and answers 503 when it does not reply in time: an updater takes this
 * for the proof that the appliance works.
 * GET /version says which code runs and which schema it found.
 */
export function addHealthRoutes(app: FastifyInstance, prisma: PrismaClient, build: BuildInfo): void {
  app.get('/health', { logLevel: 'warn' }, async (_request, reply) => {
    const up = await answersInTime(prisma);
    return await reply
      .code(up ? 200 : 503)
      .send({ status: up ? 'ok' : 'unavailable', database: up ? 'ok' : 'down' });
  });

  app.get('/version', { logLevel: 'warn' }, async () => ({
    commit: build.commit,
    release: build.release,
    schema: await findSchemaVersion(prisma),
  }));
}

async function answersInTime(prisma: PrismaClient): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), TIMEOUT_MS);
  const answer = prisma.$queryRaw`SELECT 1`.then(
    () => true,
    () => false,
  );
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The newest applied schema migration; null before the first one or while the database is away. */
async function findSchemaVersion(prisma: PrismaClient): Promise<string | null> {
  try {
    const rows = await prisma.$queryRaw<{ migration_name: string }[]>`
      SELECT migration_name FROM _prisma_migrations
      WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL
      ORDER BY migration_name DESC LIMIT 1`;
    return rows[0]?.migration_name ?? null;
  } catch {
    return null;
  }
}
