import { Refusal } from './refusal.ts';

/** How long a migration may go on after it was told to stop, to end its batch and clean up. */
const GRACE_MS = 5_000;

const EXIT_BY_SIGNAL = { SIGINT: 130, SIGTERM: 143 } as const;

/** Turns the first Ctrl-C or SIGTERM into an aborted signal whose reason is the Refusal to end with. */
export function abortOnSignals(controller: AbortController): void {
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      controller.abort(new Refusal(EXIT_BY_SIGNAL[name], `stopped by ${name}`));
    });
  }
}

/**
 * Waits for the work, but after an abort no longer than the grace: a migration that never looks at its signal must not
 * keep the operator waiting. The work itself cannot be ended from here; the caller ends its database sessions.
 *
 * @throws the abort's reason, even when the work ended well meanwhile: nobody knows whether it was complete.
 */
export async function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  graceMs: number = GRACE_MS,
): Promise<T> {
  const { promise: graceOver, reject } = Promise.withResolvers<never>();
  let timer: NodeJS.Timeout | undefined;
  const startGrace = (): void => {
    timer = setTimeout(() => reject(signal.reason), graceMs);
  };
  if (signal.aborted) startGrace();
  else signal.addEventListener('abort', startGrace, { once: true });
  try {
    const result = await Promise.race([work, graceOver]);
    signal.throwIfAborted();
    return result;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', startGrace);
  }
}
