import { basename } from 'node:path';
import type { Event } from '../../orchestrator/pipeline/events.ts';
import type { StepName } from '../../orchestrator/pipeline/journal-entries.ts';
import { localRuntime } from '../../orchestrator/runtime/local.ts';
import type { Command, Runtime } from '../../orchestrator/runtime/runtime.ts';
import { runInProcess, type Outcome } from './in-process.ts';
import type { Ledger } from './ledger.ts';

/** Something that happens in the world while a command of Holdfast is at work; once. */
export interface Interference {
  /** Only in this step, or in a restore. */
  readonly during?: StepName | 'restore';
  /** At which command: its name with arguments, and for psql the statements: `pg_dump --format`, `psql .* rename to`. */
  readonly at: RegExp;
  /** What happens before the command starts. */
  before?(): void | Promise<void>;
  /** What happens while it runs: has to wait until the command has come where it should. */
  meanwhile?(): Promise<void>;
}

/** Runs a command of Holdfast in this process, with one interference. Throws if it never came. */
export async function interfering(
  ledger: Ledger,
  interference: Interference,
  ...argv: string[]
): Promise<Outcome> {
  let where: StepName | 'restore' | undefined;
  let fired = false;
  const listen = (event: Event): void => {
    if (event.type === 'step' && event.state === 'started') where = event.step;
    if (event.type === 'restore') where = 'restore';
  };
  const isIt = (command: Command): boolean =>
    !fired &&
    (interference.during === undefined || interference.during === where) &&
    interference.at.test(describe(command));
  const runtime: Runtime = {
    ...localRuntime,
    run: async (command, options) => {
      if (!isIt(command)) return await localRuntime.run(command, options);
      fired = true;
      await interference.before?.();
      const [result, other] = await Promise.allSettled([
        localRuntime.run(command, options),
        interference.meanwhile?.(),
      ]);
      if (other.status === 'rejected') throw new Error('the interference failed', { cause: other.reason });
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    },
  };
  const outcome = await runInProcess(
    ledger.program,
    runtime,
    ['--appliance', ledger.directory, '--yes', ...argv],
    listen,
  );
  if (!fired) throw new Error(`never came: ${interference.at}; ${outcome.error}`);
  return outcome;
}

/** What a command is about, on one line. */
function describe({ file, args, input }: Command): string {
  const said = typeof input === 'string' ? ` ${input}` : '';
  return `${basename(file)} ${args.join(' ')}${said}`.replaceAll(/\s+/g, ' ');
}
