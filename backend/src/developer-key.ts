import { createHash, timingSafeEqual } from 'node:crypto';
import { fastifyRateLimit } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from './api-error.ts';

const WRONG_TRIES = 5;
const WINDOW_MS = 60_000;

/**
 * Lets only requests with the right `developer-key` header reach the routes of `app`; others are answered 401.
 *
 * After five wrong keys within a minute an address is answered 429 until the minute is over, and its key is not looked
 * at: were the right one still let through, guessing would not be slowed at all. Other addresses notice nothing, so
 * nobody can lock the operator out from elsewhere.
 */
export async function requireDeveloperKey(app: FastifyInstance, key: string): Promise<void> {
  await app.register(fastifyRateLimit, { global: false });
  const countWrong = app.createRateLimit({ max: WRONG_TRIES, timeWindow: WINDOW_MS });
  const expected = digest(key);

  app.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
    const tries = await countWrong(request, { increment: false });
    if (!tries.isAllowed && tries.remaining === 0) {
      void reply.header('retry-after', tries.ttlInSeconds);
      throw new ApiError(
        429,
        'too_many_wrong_keys',
        `Too many wrong developer keys came from your address. Try again in ${tries.ttlInSeconds} s.`,
      );
    }
    const given = request.headers['developer-key'];
    // Digests have one length, so that the comparison tells nothing about the key, not even how long it is.
    if (typeof given === 'string' && timingSafeEqual(digest(given), expected)) return;
    if (given !== undefined) await countWrong(request);
    throw new ApiError(
      401,
      'wrong_developer_key',
      'The header developer-key is missing or wrong. It must hold what the backend has as DEVELOPER_KEY.',
    );
  });
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
