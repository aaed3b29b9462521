import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandResult } from '../runtime.ts';
import type { LxdClient } from './client.ts';
import { askContainer } from './whole-output.ts';

/*
 * A client of LXD waits without end, now and then, for a command that has ended long ago (5.0.2: once in some two thousand on a
 * busy machine). A dump has no time limit that would end such a wait: so the container is asked.
 */

/** Whether the launcher of a command lives; its exit code, once it has written that. The name comes by standard input. */
const look = `IFS= read -r name
if pgrep -f "^/bin/sh -c .* sh $name" >/dev/null; then echo lives
elif [ -e "/run/holdfast/$name.code" ]; then cat "/run/holdfast/$name.code"
else echo unknown; fi`;

interface Watched {
  readonly client: LxdClient;
  readonly container: string;
  readonly unit: string;
  /** Ends the client. */
  readonly end: AbortController;
}

/**
 * What a client brings; where it hangs, the exit code that the container knows, and nothing of what was printed.
 *
 * @param everyMs how often the container is asked; an end has to be seen twice
 */
export async function endingWith(
  running: Promise<CommandResult>,
  { client, container, unit, end }: Watched,
  everyMs = 20_000,
): Promise<CommandResult> {
  const settled = new AbortController();
  let hung: CommandResult | undefined;
  const watching = (async () => {
    let before: string | undefined;
    for (;;) {
      await sleep(everyMs, undefined, { signal: settled.signal, ref: false });
      const { stdout } = await askContainer(client, container, ['/bin/sh', '-c', look], {
        input: `${unit}\n`,
      }).catch(() => ({ stdout: '' }));
      const now = /^\d+$/.exec(stdout.trim())?.[0];
      // Seen twice: the client had time enough to bring it.
      if (now !== undefined && now === before) {
        hung = { exitCode: Number(now), stdout: '', stderr: '' };
        end.abort(new Error('the client hangs'));
        return;
      }
      before = now;
    }
  })();
  watching.catch(() => undefined);
  try {
    return await running;
  } catch (error) {
    if (hung === undefined) throw error;
    return hung;
  } finally {
    settled.abort();
  }
}
