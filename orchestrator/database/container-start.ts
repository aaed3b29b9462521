import { messageOf, Refusal } from '../lib/errors.ts';
import { waitFor } from '../lib/wait.ts';
import { commandFailed, lastLines, type Command, type Runtime } from '../runtime/runtime.ts';
import { accessText, cluster, exitWithoutCluster, starter, unit, unitText } from './container-cluster.ts';

/** A command in the database's container, whoever operates: units, and the folder of the cluster, are root's there. */
export function inside(file: string, args: readonly string[], more: Partial<Command> = {}): Command {
  return { inside: 'postgres', user: 'root', file, args, timeoutMs: 60_000, ...more };
}

/**
 * Has the server run. May be run twice.
 *
 * @param how.isNew makes the cluster first, since nobody has ever reached one
 * @throws Refusal where there is none, and was one
 */
export async function startCluster(
  runtime: Runtime,
  { bin, socket, isNew }: { readonly bin: string; readonly socket: string; readonly isNew: boolean },
): Promise<void> {
  const args = [bin, cluster, unit, accessText('open'), isNew ? 'new' : 'known'];
  const label = 'start of PostgreSQL';
  const result = await runtime.run(
    inside('sh', ['-c', starter, 'sh', ...args], {
      ...{ label, input: unitText(bin, socket), timeoutMs: 180_000 },
    }),
    { allowFailure: true },
  );
  if (result.exitCode === exitWithoutCluster)
    throw new Refusal(
      `the database is gone: there is none on the volume ${runtime.volumes?.live() ?? ''}`,
      'bring the volume back; or ./run.sh destroy, ./run.sh setup, and ./run.sh rollback to a backup',
    );
  if (result.exitCode !== 0) throw commandFailed(label, result);
}

/** @throws Refusal with the server's words, as soon as systemd has given up starting it */
export async function untilItAnswers(runtime: Runtime, ask: () => Promise<void>): Promise<void> {
  let last: unknown;
  const probe = async () => {
    try {
      await ask();
      return true;
    } catch (error) {
      last = error;
      const failed = inside('systemctl', ['is-failed', '--quiet', unit]);
      return (await runtime.run(failed, { allowFailure: true })).exitCode === 0 ? false : undefined;
    }
  };
  if ((await waitFor(probe, { timeoutMs: 60_000, everyMs: 100 })) === true) return;
  throw new Refusal(
    `the database server does not answer: ${lastLines(messageOf(last), 5)}`,
    './run.sh logs postgres',
    last,
  );
}
