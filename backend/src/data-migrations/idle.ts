import type { Socket } from 'node:net';

/** So long what is left over may be work that nobody waits for; then it is taken for an open connection or a timer. */
const LONGEST_MS = 2_000;

/**
 * Waits until this process has nothing left to do but to listen to its channel: work that a migration began and did not
 * wait for comes to its next query by then, and that one is refused.
 */
export async function untilIdle(channel: Socket): Promise<void> {
  channel.unref();
  await new Promise<void>((resolve) => {
    const end = (): void => {
      channel.ref();
      clearTimeout(timer);
      process.off('beforeExit', end);
      resolve();
    };
    const timer = setTimeout(end, LONGEST_MS).unref();
    process.once('beforeExit', end);
  });
}
