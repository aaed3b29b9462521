import { AsyncLocalStorage } from 'node:async_hooks';
import type { PrismaClient } from '../generated/client.ts';

/** A `$transaction` that the code is in. */
export interface Interactive {
  readonly outer: Interactive | undefined;
}

const within = new AsyncLocalStorage<Interactive>();

/** The `$transaction` that the caller is in; undefined outside of all. */
export function currentInteractive(): Interactive | undefined {
  return within.getStore();
}

const batches = new AsyncLocalStorage<true>();

/** Runs the callback of a batch. */
export async function inBatch<T>(work: () => Promise<T>): Promise<T> {
  return await batches.run(true, work);
}

/** True for what is called by the callback of a batch. */
export function isInBatch(): boolean {
  return batches.getStore() === true;
}

/** True when the caller is in that `$transaction`, or in one inside of it. */
export function isWithin(interactive: Interactive | undefined): boolean {
  if (interactive === undefined) return false;
  for (let one = currentInteractive(); one !== undefined; one = one.outer)
    if (one === interactive) return true;
  return false;
}

/**
 * A client of which each query tells by `currentInteractive()` in which `$transaction` it was called: one through the
 * client itself, from within, must not wait for the end of that transaction.
 */
export function trackInteractive(client: PrismaClient): PrismaClient {
  return new Proxy(client, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      const call = (...args: unknown[]): unknown =>
        (value as (...all: unknown[]) => unknown).apply(target, args);
      if (key === '$extends') return (...args: unknown[]) => trackInteractive(call(...args) as PrismaClient);
      if (key !== '$transaction') return call;
      return (...args: unknown[]) => within.run({ outer: currentInteractive() }, () => call(...args));
    },
  });
}
