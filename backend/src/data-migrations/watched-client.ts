import type { PrismaClient } from '../generated/client.ts';

/** Queries that were written down but never waited for: Prisma does not even send those. */
export interface Watch {
  readonly prisma: PrismaClient;
  /** Names of queries that nobody awaited, or that still run. Empty after a migration that awaited all of its own. */
  unfinished(): string[];
}

const STARTING = new Set(['then', 'catch', 'finally', 'requestTransaction']);

/**
 * A client that remembers which of its queries were awaited. Prisma's promises are lazy: a query without `await` does
 * nothing at all, and a migration that forgot it would be recorded as a success.
 */
export function watchClient(client: PrismaClient): Watch {
  const waiting = new Set<{ name: string }>();

  function watchPromise(promise: object, name: string): object {
    const query = { name };
    waiting.add(query);
    return new Proxy(promise, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        if (key === 'requestTransaction') waiting.delete(query);
        if (!STARTING.has(String(key)) || key === 'requestTransaction')
          return (value as (...args: unknown[]) => unknown).bind(target);
        return (...args: unknown[]) => {
          const settled = (value as (...all: unknown[]) => Promise<unknown>).apply(target, args);
          void settled.then(
            () => waiting.delete(query),
            () => waiting.delete(query),
          );
          return settled;
        };
      },
    });
  }

  function watchObject<T extends object>(object: T, path: string, depth: number): T {
    return new Proxy(object, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof key === 'symbol' || key.startsWith('_')) return value;
        const name = path === '' ? key : `${path}.${key}`;
        if (typeof value === 'function') {
          return (...args: unknown[]) => {
            const result: unknown = (value as (...all: unknown[]) => unknown).apply(target, args);
            return isThenable(result) && key !== '$transaction' && key !== '$disconnect' && key !== '$connect'
              ? watchPromise(result, name)
              : result;
          };
        }
        return depth === 0 && typeof value === 'object' && value !== null
          ? watchObject(value, key, 1)
          : value;
      },
    });
  }

  return {
    prisma: watchObject(client, '', 0),
    unfinished: () => [...waiting].map(({ name }) => name),
  };
}

function isThenable(value: unknown): value is object {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
