import { AsyncLocalStorage } from 'node:async_hooks';
import type { PrismaClient } from '../generated/client.ts';
import { tellFailed, tellSucceeded, type Failures } from './failed-queries.ts';

/** Queries that were written down but never waited for: Prisma does not even send those. */
export interface Watch {
  readonly prisma: PrismaClient;
  /** Names of queries that nobody awaited, or that still run. Empty after a migration that awaited all of its own. */
  unfinished(): string[];
  /** Starts anew: what was not waited for so far is not looked at any more. */
  forget(): void;
}

/** A piece of a migration's code: up(), or the callback of a batch. */
interface Scope {
  readonly outer: Scope | undefined;
  isOver: boolean;
}
const scopes = new AsyncLocalStorage<Scope>();
/** Queries that came after the end of the code that they belong to. */
const late: string[] = [];

/** Runs `work`; a query that comes from it after its end is refused, and so is the migration: nobody waited for that. */
export async function inScope<T>(work: () => Promise<T>): Promise<T> {
  const scope: Scope = { outer: scopes.getStore(), isOver: false };
  try {
    return await scopes.run(scope, work);
  } finally {
    scope.isOver = true;
  }
}

function refuseLate(name: string): void {
  for (let scope = scopes.getStore(); scope !== undefined; scope = scope.outer)
    if (scope.isOver) {
      late.push(name);
      refuseUnfinished(late);
    }
}

type Call = (...args: unknown[]) => unknown;

/** @throws Error that names the queries. */
export function refuseUnfinished(names: readonly string[]): void {
  if (names.length === 0) return;
  throw new Error(
    `it ended without waiting for ${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}: put "await" before each query`,
  );
}

/**
 * A client that remembers which of its queries were awaited. Prisma's promises are lazy: a query without `await` does
 * nothing at all, and a migration that forgot it would be recorded as a success.
 *
 * @param failures is told which of them failed
 */
export function watchClient(client: PrismaClient, failures?: () => Failures | undefined): Watch {
  const waiting = new Set<{ name: string }>();

  function watchPromise(promise: object, name: string, args: readonly unknown[]): object {
    const query = { name, args };
    waiting.add(query);
    return new Proxy(promise, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        const call = (...others: unknown[]): unknown => (value as Call).apply(target, others);
        const settle =
          (then: unknown, otherwise: Call): Call =>
          (outcome) => {
            waiting.delete(query);
            if (otherwise === rethrow) tellFailed(failures?.(), query, outcome);
            if (otherwise === pass) tellSucceeded(failures?.(), query);
            return (typeof then === 'function' ? (then as Call) : otherwise)(outcome);
          };
        // The handlers themselves are wrapped: one more promise here would hide a failure that nobody else handles.
        const start = (fulfilled: unknown, rejected: unknown): unknown =>
          (target as PromiseLike<unknown>).then(settle(fulfilled, pass), settle(rejected, rethrow));
        if (key === 'then') return start;
        if (key === 'catch') return (rejected: unknown) => start(undefined, rejected);
        if (key === 'finally') return (handler: unknown) => call(settle(handler, () => undefined));
        if (key === 'requestTransaction') waiting.delete(query);
        if (typeof key === 'symbol' || key === 'requestTransaction') return call;
        // `findUnique(...).department()` is another query, in place of the first.
        return (...others: unknown[]) => {
          waiting.delete(query);
          const result = call(...others);
          return isThenable(result) ? watchPromise(result, `${name}.${key}`, others) : result;
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
            if (key === '$extends') return watchObject((value as Call).apply(target, args) as object, '', 0);
            refuseLate(name);
            const [first, ...others] = args;
            const all =
              key === '$transaction' && typeof first === 'function'
                ? [(tx: object) => (first as Call)(watchObject(tx, '', 0)), ...others]
                : args;
            const result: unknown = (value as Call).apply(target, all);
            return isThenable(result) && key !== '$disconnect' && key !== '$connect'
              ? watchPromise(result, name, args)
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
    unfinished: () => [...[...waiting].map(({ name }) => name), ...late],
    forget: () => waiting.clear(),
  };
}

function pass(value: unknown): unknown {
  return value;
}

function rethrow(error: unknown): never {
  throw error;
}

function isThenable(value: unknown): value is object {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
