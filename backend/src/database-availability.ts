import { Prisma } from './generated/client.ts';

/** Codes by which Prisma and the operating system say that no session could be had in time, or that it was cut. */
const UNAVAILABLE = new Set([
  'P1001',
  'P1002',
  'P1003',
  'P1008',
  'P1017',
  'P2024',
  'P2028',
  'P2037',
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'EPIPE',
]);

/**
 * True when the database is away rather than the query wrong: during an update its sessions are ended, it refuses new
 * ones, and it bears another name for a while. The caller may simply try again later.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (error instanceof Prisma.PrismaClientInitializationError) return true;
  if (!(error instanceof Error)) return false;
  if ('code' in error && UNAVAILABLE.has(String(error.code))) return true;
  if ('meta' in error && isFatal(error.meta)) return true;
  return /timeout exceeded when trying to connect|Connection terminated|ECONNREFUSED/.test(error.message);
}

/** PostgreSQL ends or refuses a session with the severity FATAL; the fault of a statement is only an ERROR. */
function isFatal(meta: unknown): boolean {
  const cause = property(property(meta, 'driverAdapterError'), 'cause');
  return property(cause, 'severity') === 'FATAL';
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
