import { openDatabase } from '../database.ts';
import type { PrismaClient } from '../generated/client.ts';
import type { AdvisoryLock } from './advisory-lock.ts';

/**
 * Lends a Prisma client to `work` and disconnects it afterwards. When the run was aborted, the client's sessions are
 * ended on the server first: PostgreSQL would finish and commit a long UPDATE for a client that has gone.
 */
export async function withSessions<T>(
  url: string,
  lock: AdvisoryLock,
  signal: AbortSignal,
  work: (prisma: PrismaClient) => Promise<T>,
): Promise<T> {
  const { prisma, pool } = openDatabase(url);
  const pids = new Set<number>();
  pool.on('connect', (client) => {
    // Missing in the type declarations; it is the session's pid from the server's BackendKeyData.
    if ('processID' in client && typeof client.processID === 'number') pids.add(client.processID);
  });
  try {
    return await work(prisma);
  } finally {
    if (signal.aborted) {
      // Ending the pool first keeps a migration that ignores its signal from opening new sessions.
      void pool.end().catch(() => {});
      await lock.endSessions([...pids]).catch(() => {});
    } else {
      await prisma.$disconnect();
    }
  }
}
