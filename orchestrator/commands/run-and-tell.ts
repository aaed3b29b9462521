import type { Appliance } from '../appliance/appliance.ts';
import { newRunId, type StateDirectory } from '../appliance/state.ts';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, NotRestoredError } from '../lib/errors.ts';
import { collectAfterRun } from '../pipeline/after-run.ts';
import { readJournal } from '../pipeline/journal.ts';
import { phaseOf, type RunPhase } from '../pipeline/journal-entries.ts';
import { eventOf, notifyAll, type Notification } from '../pipeline/notify.ts';
import type { Listener } from '../pipeline/events.ts';
import { executeRun, type RunRequest, type RunResult } from '../pipeline/pipeline.ts';
import { describeNotRestored, describeOutcome, exitCodeOf, resultEvent } from '../ui/outcome.ts';
import { both, logListener } from '../ui/run-log.ts';
import { listSnapshots } from '../snapshot/store.ts';
import type { Session } from './session.ts';

type Request = Pick<
  RunRequest,
  | 'appliance'
  | 'signals'
  | 'kind'
  | 'steps'
  | 'afterCommit'
  | 'origin'
  | 'target'
  | 'snapshot'
  | 'restoring'
  | 'withoutSafety'
  | 'allowDestructive'
  | 'migrate'
  | 'migrating'
>;

/** Runs a run, tells its outcome to the operator, the log and whoever wants to be notified, and gives the exit code. */
export async function runAndTell(
  session: Session,
  request: Request,
  more: Record<string, unknown> = {},
): Promise<number> {
  const { appliance, origin, target } = request;
  const { state } = appliance;
  // Who reaches no daemon could not even end a run that had touched nothing.
  await appliance.runtime.exposed();
  const id = newRunId(
    new Date(),
    (taken) => existsSync(state.run(taken)) || existsSync(join(appliance.backupsDirectory, taken)),
  );
  const log = logListener(state.run(id), session.secrets);
  const listener = both(session.ui.listener, log);
  const tell = async (event: Notification['event'], message: string, outageMs: number) => {
    const notification = {
      event,
      appliance: appliance.config.name,
      run: id,
      from: origin.label,
      to: target.label,
      message: session.secrets.mask(message),
      outageMs: Math.round(outageMs),
    };
    await notifyAll(appliance, notification, (warning) => listener({ type: 'warning', message: warning }));
  };
  let result: RunResult;
  try {
    result = await executeRun({
      ...request,
      id,
      sequence: state.nextSequence(1 + newestSequence(appliance)),
      driver: session.ui.driver,
      listener,
      cleanUp: async ({ appliance: after, run, end }) => await collectAfterRun(after, run, end),
    });
  } catch (error) {
    // It did not even begin: nothing was touched.
    if (!(error instanceof NotRestoredError) && state.unfinishedRun() !== id) throw error;
    await tell('not-restored', messageOf(error), 0);
    return tellNotRestored(session, appliance, id, error);
  }
  if (result.outcome === 'updated' || result.outcome === 'rolled-back')
    await readyTheDoor(request.appliance, listener);
  const made = result.outcome === 'backed-up' ? { snapshot: result.run, name: request.snapshot.name } : {};
  const event = resultEvent(result, origin, target, { ...made, ...more });
  log(event);
  await tell(eventOf(result.outcome), describeOutcome(result, origin, target, plain), result.outageMs);
  session.ui.result(event, describeOutcome(result, origin, target, session.ui.paint));
  return exitCodeOf(result);
}

/** Exit 11: services are down. Where the data is, both causes and the next command are told. */
function tellNotRestored(
  session: Session,
  { state }: Pick<Appliance, 'state'>,
  run: string,
  error: unknown,
): number {
  const told =
    error instanceof NotRestoredError
      ? error
      : new NotRestoredError(messageOf(error), { next: './run.sh recover', cause: error });
  const next = told.next ?? './run.sh recover';
  session.ui.result(
    {
      type: 'result',
      ok: false,
      exitCode: told.exitCode,
      outcome: 'not-restored',
      run,
      error: told.message,
      next,
    },
    describeNotRestored(told.message, { id: run, phase: reachedPhase(state, run) }, next, session.ui.paint),
  );
  return told.exitCode;
}

/** How far a run came. A backup changes nothing: sealed or not, the data is where it was. */
function reachedPhase(state: StateDirectory, run: string): RunPhase {
  const records = readJournal(join(state.run(run), 'journal.ndjson'));
  const phase = phaseOf(records);
  const isBackup = records.some((record) => record.type === 'run-started' && record.kind === 'backup');
  return phase === 'sealed' && isBackup ? 'window' : phase;
}

/**
 * The version that is in place now has a Holdfast of its own, perhaps with other packages. They are fetched now, while
 * somebody looks, and not when a rollback is needed with the network down. What fails is a warning: the run stands.
 */
async function readyTheDoor({ program, directory, runtime }: Appliance, listener: Listener): Promise<void> {
  const door = join(program.home, 'run.sh');
  if (program.home !== directory || !existsSync(door)) return;
  try {
    await runtime.run({
      file: 'bash',
      args: [door, '--version'],
      timeoutMs: 600_000,
      label: './run.sh --version',
    });
  } catch (error) {
    listener({ type: 'warning', message: `this version's own Holdfast does not start: ${messageOf(error)}` });
  }
}

const same = (text: string) => text;
const plain = { bold: same, dim: same, red: same, green: same, yellow: same };

/** The highest number among the snapshots; they may have outlived the counter. */
function newestSequence({ backupsDirectory }: Appliance): number {
  return Math.max(0, ...listSnapshots(backupsDirectory).map(({ manifest }) => manifest?.sequence ?? 0));
}
