import type { Change } from './write-changes.ts';

/** What Prisma's updateMany() gives: it has been done by `tx`. */
export function isCount(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).join() === 'count';
}

/** True for what PostgreSQL (data exceptions, constraints) or SQLite (constraints) says of a value. */
export function isOfAValue(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  return (
    (typeof code === 'string' && /^2[23]\w{3}$/.test(code)) ||
    (typeof errcode === 'number' && (errcode & 0xff) === 19)
  );
}

/**
 * Finds the row whose value the database does not take, by writing half of them, and half of the others.
 *
 * @param write in a savepoint, where one is needed; whatever is kept of it goes with the batch
 * @returns its key, and what the database says of it
 * @throws what it began with, where another half fails of something else
 */
export async function findRefused(
  changes: readonly Change[],
  error: unknown,
  write: (some: readonly Change[]) => Promise<void>,
): Promise<{ key: readonly string[]; said: unknown }> {
  let [some, said] = [changes, error];
  while (some.length > 1) {
    const half = some.slice(0, Math.ceil(some.length / 2));
    try {
      await write(half);
      some = some.slice(half.length);
    } catch (refused) {
      if (!isOfAValue(refused)) throw error;
      [some, said] = [half, refused];
    }
  }
  return { key: some[0]?.key ?? [], said };
}
