import { PrismaPg } from '@prisma/adapter-pg';
import { Pool } from 'pg';
import { PrismaClient } from './generated/client.ts';

/** A Prisma client together with the pool beneath it, which knows its sessions on the server. */
export interface Database {
  readonly prisma: PrismaClient;
  readonly pool: Pool;
}

/**
 * Makes a client for the URL; nothing is connected until the first query. `prisma.$disconnect()` ends the pool too.
 *
 * pg itself understands unix-socket URLs (`?host=%2Fpath`) and PGAPPNAME, by which an updater recognises our sessions.
 * Sessions are ended from outside during an update: without the listener, the error of an idle one would end this
 * process.
 */
export function openDatabase(url: string, onConnectionLost: (error: Error) => void = () => {}): Database {
  const pool = new Pool({
    connectionString: url,
    max: 10,
    connectionTimeoutMillis: 5_000,
    fallback_application_name: 'holdfast-backend',
  });
  pool.on('error', onConnectionLost);
  const adapter = new PrismaPg(pool, { disposeExternalPool: true });
  return { prisma: new PrismaClient({ adapter }), pool };
}
