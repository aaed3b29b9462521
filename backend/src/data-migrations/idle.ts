import type { Socket } from 'node:net';

/** So long what is left over may be work that nobody waits for; then it is taken for an open connection or a timer. */
const LONGEST_MS = 2_000;
/** So long where nothing is open, and a computation or a file is what keeps the process at work. */
const LONGEST_AT_WORK_MS = 60_000;

/** The process's own pipes and terminals, which are always there. */
const OWN = /^(?:PipeWrap|TTYWrap|TTY)$/;

/**
 * Waits until this process has nothing left to do but to listen to its channel: work that a migration began and did not
 * wait for comes to its next query by then, and that one is refused.
 *
 * @returns what was still open or at work when the time was over; undefined where nothing was
 */
export async function untilIdle(channel: Socket): Promise<string | undefined> {
  channel.unref();
  const startedAt = performance.now();
  return await new Promise((resolve) => {
    const end = (left?: string): void => {
      channel.ref();
      clearInterval(timer);
      process.off('beforeExit', onIdle);
      resolve(left);
    };
    const onIdle = (): void => end();
    const timer = setInterval(() => {
      // A computation of the thread pool's is not among them.
      const open = process.getActiveResourcesInfo().filter((one) => !OWN.test(one));
      if (open.length > 0) end([...new Set(open)].join(', '));
      else if (performance.now() - startedAt >= LONGEST_AT_WORK_MS) end('a computation');
    }, LONGEST_MS).unref();
    process.once('beforeExit', onIdle);
  });
}
