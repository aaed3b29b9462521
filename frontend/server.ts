import { access } from 'node:fs/promises';
import path from 'node:path';
import { fastifyHttpProxy } from '@fastify/http-proxy';
import { fastifyStatic } from '@fastify/static';
import { fastify, type FastifyInstance } from 'fastify';

const DIST = path.join(import.meta.dirname, 'dist');
const PROXIED = ['/api', '/health', '/version'];
const DRAIN_MS = 8_000;

/** The page must load while the backend is away, to say so; hence the files are ours and only the data is passed on. */
async function addRoutes(app: FastifyInstance, backendUrl: string): Promise<void> {
  await app.register(fastifyStatic, {
    root: DIST,
    // Vite puts a digest into the names under assets/; everything else must be asked for again after an update.
    setHeaders: (reply, file) => {
      const lasting = file.startsWith(path.join(DIST, 'assets'));
      void reply.header('cache-control', lasting ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
  });
  for (const prefix of PROXIED) {
    await app.register(fastifyHttpProxy, {
      upstream: backendUrl,
      prefix,
      rewritePrefix: prefix,
      http: { requestOptions: { timeout: 30_000 } },
      replyOptions: {
        onError: (reply) =>
          void reply
            .code(503)
            .header('retry-after', '5')
            .send({
              error: { code: 'backend_unavailable', message: 'The server is being updated. Try again soon.' },
            }),
      },
    });
  }
}

/** Finishes what is in flight, then exits 0. A repeated signal (from npm and from a supervisor) changes nothing. */
function stopOnSignal(app: FastifyInstance): void {
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => app.server.closeAllConnections(), DRAIN_MS).unref();
    app
      .close()
      .catch((error: unknown) => app.log.error({ err: error }, 'stopping failed'))
      .finally(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

const app = fastify({ logger: { level: process.env['LOG_LEVEL'] || 'warn' } });
stopOnSignal(app);
try {
  await access(path.join(DIST, 'index.html'));
  await addRoutes(app, process.env['BACKEND_URL'] || 'http://127.0.0.1:4000');
  const host = process.env['HOST'] || '127.0.0.1';
  console.log(`The page is at ${await app.listen({ host, port: Number(process.env['PORT'] || 3000) })}`);
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  console.error(
    `cannot serve the page: ${reason}. Run npm run build, or set PORT and HOST to a free address`,
  );
  process.exit(1);
}
