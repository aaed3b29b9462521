import { identify, isAlive, signalProcess, type ProcessIdentity } from './processes.ts';
import { waitFor } from './wait.ts';

export interface Ending {
  /** The first signal. */
  readonly signal: NodeJS.Signals;
  /** How long they may take over it, in ms; what is left then gets SIGKILL. */
  readonly graceMs: number;
  /** Who gets the first signal; all that are found, with those that they start meanwhile, if absent. */
  readonly only?: number;
  /** How long SIGKILL may take, in ms; 10 s if absent. A process that hangs in the kernel takes for ever. */
  readonly killMs?: number;
}

/**
 * Ends the processes that `find` names, and those that it names later. One counts as ended when the kernel has taken
 * back all that it held: on its way out a process loses its environment first, by which `find` may have known it,
 * and its ports last. So whoever was seen once is followed by its identity.
 *
 * @returns how many there were, and the pids of those that even SIGKILL did not end. May be run twice.
 */
export async function endProcesses(
  find: () => readonly number[],
  { signal, graceMs, only, killMs = 10_000 }: Ending,
): Promise<{ readonly ended: number; readonly left: readonly number[] }> {
  const seen = new Map<number, ProcessIdentity>();
  const signalled = new Set<number>();
  const living = (): number[] => {
    for (const pid of find()) {
      const identity = identify(pid);
      if (identity) seen.set(pid, identity);
    }
    return [...seen.values()].filter(isAlive).map(({ pid }) => pid);
  };
  const politely = (): true | undefined => {
    const left = living();
    for (const pid of left) {
      if (signalled.has(pid) || (only !== undefined && only !== pid)) continue;
      signalled.add(pid);
      signalProcess(pid, signal);
    }
    return left.length === 0 ? true : undefined;
  };
  const bluntly = (): true | undefined => {
    const left = living();
    for (const pid of left) signalProcess(pid, 'SIGKILL');
    return left.length === 0 ? true : undefined;
  };
  const gone =
    (await waitFor(politely, { timeoutMs: graceMs })) ?? (await waitFor(bluntly, { timeoutMs: killMs }));
  return { ended: seen.size, left: gone ? [] : living() };
}
