import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Asks again and again until `probe` answers something other than undefined, or the time is over (then undefined).
 * Throws what `probe` throws, and the abort reason when the signal fires.
 *
 * @param everyMs pause between two questions
 */
export async function waitFor<T>(
  probe: () => T | undefined | Promise<T | undefined>,
  options: { timeoutMs: number; everyMs?: number; signal?: AbortSignal | undefined },
): Promise<T | undefined> {
  const deadline = performance.now() + options.timeoutMs;
  for (;;) {
    options.signal?.throwIfAborted();
    const answer = await probe();
    if (answer !== undefined) return answer;
    if (performance.now() >= deadline) return undefined;
    await sleep(options.everyMs ?? 50);
  }
}
