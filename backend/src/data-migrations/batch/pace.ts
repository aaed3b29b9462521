/** So often a batch is tried again in a row before it counts as failed. */
export const RETRIES = 10;

/** Rows that come through this process are held in memory; those of a statement on the server are not. */
export const LARGEST_IN_MEMORY = 5_000;
export const LARGEST_ON_SERVER = 100_000;

// Not the rows' fault: lock and statement timeouts, deadlocks, serialization.
const PASSING = new Set(['55P03', '57014', '40P01', '40001']);

/** True for a failure that another attempt, with fewer rows, may not meet. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('code' in error && typeof error.code === 'string' && PASSING.has(error.code)) return true;
  // Prisma's own error for a serialization failure or a deadlock, and the database's code within others.
  if ('code' in error && error.code === 'P2034') return true;
  return isPassing(error.cause) || [...PASSING].some((code) => error.message.includes(`Code: \`${code}\``));
}

/** A size that takes about as long as it should; never more than twice or less than half of what it was. */
export function nextSize(size: number, tookMs: number, targetMs: number, largest: number): number {
  const factor = Math.min(2, Math.max(0.5, targetMs / Math.max(1, tookMs)));
  return Math.min(largest, Math.max(1, Math.round(size * factor)));
}
