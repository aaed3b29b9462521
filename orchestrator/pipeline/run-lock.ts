import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { isDiskFull, LockHeldError } from '../lib/errors.ts';
import { identify, isAlive, type ProcessIdentity } from '../lib/processes.ts';
import { formatDuration } from '../lib/units.ts';
import { waitFor } from '../lib/wait.ts';
import type { HeldLock } from '../runtime/runtime.ts';
import { readJournal } from './journal.ts';
import type { StepName } from './journal-entries.ts';
import { readSetup } from './setup-progress.ts';
import { stepTitles } from './step-titles.ts';

/** Who holds the lock, for the one who does not get it. */
export interface Holder extends ProcessIdentity {
  readonly command: string;
  readonly startedAt: string;
}

/**
 * Takes the one lock of an appliance for the time of `work`. The kernel frees it however we die, and services that
 * are started meanwhile do not hold it. If its helper dies, `lost` settles: the run must fail like a step.
 *
 * @throws LockHeldError that says who holds it, since when, and at which step
 */
export async function withRunLock<T>(
  appliance: Appliance,
  command: string,
  work: (lock: RunLock) => Promise<T>,
): Promise<T> {
  appliance.state.ensure();
  const lock = await appliance.runtime.tryLock(appliance.state.lock);
  if (!lock)
    throw new LockHeldError(
      `cannot ${verbOf(command)}: ${await describeHolder(appliance)}. Nothing was changed.`,
      './run.sh status --follow',
    );
  const held = holdOn(appliance, lock);
  try {
    const self = identify(process.pid);
    if (!self) throw new Error('cannot read /proc/self');
    const holder: Holder = { ...self, command, startedAt: new Date().toISOString() };
    tryToWrite(appliance.state.lockHolder, holder);
    return await work(held);
  } finally {
    // Before the lock: after it, it could be the next one's.
    rmSync(appliance.state.lockHolder, { force: true });
    await held.release();
  }
}

/** The lock of a run was lost: the helper that held it died. The run fails like a step. */
export class LockLostError extends Error {
  /** True if we have the lock again, and may walk the way back. */
  readonly isHeldAgain: boolean;

  constructor(isHeldAgain: boolean) {
    const since = isHeldAgain ? '' : ', and another command has it now';
    super(`the lock of this run was lost: its helper process died${since}`);
    this.name = 'LockLostError';
    this.isHeldAgain = isHeldAgain;
  }
}

interface RunLock {
  /** Settles when the lock was lost, after it was asked for once more: two ways back at once would be the end. */
  readonly lost: Promise<LockLostError>;
  release(): Promise<void>;
}

function holdOn(appliance: Appliance, lock: HeldLock): RunLock {
  let held = lock;
  const lost = lock.lost.then(async () => {
    const again = await appliance.runtime.tryLock(appliance.state.lock);
    held = again ?? held;
    return new LockLostError(again !== undefined);
  });
  return { lost, release: async () => await held.release() };
}

/** Only who loses against us reads it: a full disk must not keep a recovery from its work. */
function tryToWrite(path: string, holder: Holder): void {
  try {
    writeFileAtomic(path, `${JSON.stringify(holder)}\n`);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    // Better nobody than the one before.
    rmSync(path, { force: true });
  }
}

const verbs: Readonly<Record<string, string>> = {
  rollback: 'roll back',
  backup: 'back up',
  setup: 'set up',
  'data run': 'run the data migrations',
  'data retry': 'retry the data migration',
  'data rerun': 'rerun the data migration',
  'data skip': 'skip the data migration',
  'data down': 'take the data migration back',
  'migrate down': 'take migrations back',
  'migrate dev': 'develop a migration',
  'db reset': 'reset the database',
  'db push': 'push the schema',
  'db restore': 'restore the dump',
};

/** What a command does, as it stands after "cannot". */
export function verbOf(command: string): string {
  return verbs[command] ?? command;
}

/** Who holds the lock now. What a killed holder left behind does not count, not even if its pid was given to another. */
export function readHolder(appliance: Appliance): Holder | undefined {
  try {
    const holder = JSON.parse(readFileSync(appliance.state.lockHolder, 'utf8')) as Holder;
    return isAlive(holder) ? holder : undefined;
  } catch {
    return undefined;
  }
}

/** What a holder is doing: `the update of 02:14 (pid 4121, 3 min) is at "schema migrations"`. */
export function describeWork(appliance: Appliance, { command, pid, startedAt }: Holder): string {
  const since = new Date(startedAt);
  const clock = `${String(since.getHours()).padStart(2, '0')}:${String(since.getMinutes()).padStart(2, '0')}`;
  const step = currentStep(appliance)?.title ?? setupStep(appliance, command);
  const where = step === undefined ? 'is at work' : `is at "${step}"`;
  // The clock may have been set back since.
  const lasted = formatDuration(Math.max(0, Date.now() - since.getTime()));
  return `the ${command} of ${clock} (pid ${pid}, ${lasted}) ${where}`;
}

/** Where a run is: the step, for programs, and how it is called. A restore is told by its phase. */
export interface Place {
  readonly step: StepName | 'restore';
  readonly title: string;
}

/** The step that the open run is at. */
export function currentStep(appliance: Appliance): Place | undefined {
  const run = appliance.state.unfinishedRun();
  if (run === undefined) return undefined;
  try {
    const last = readJournal(join(appliance.state.run(run), 'journal.ndjson')).findLast(
      (record) => record.type === 'step-started' || record.type === 'restore-phase',
    );
    if (last?.type === 'restore-phase') return { step: 'restore', title: `restore: ${last.phase}` };
    return last?.type === 'step-started' ? { step: last.step, title: stepTitles[last.step] } : undefined;
  } catch {
    return undefined;
  }
}

/** Where a setup is that is at work; what a failed one left behind is none. */
function setupStep({ state }: Appliance, command: string): string | undefined {
  const setup = ['setup', 'update'].includes(command) ? readSetup(state) : undefined;
  return setup?.failure === undefined ? setup?.title : undefined;
}

async function describeHolder(appliance: Appliance): Promise<string> {
  // It has the lock a moment before it has said who it is.
  const holder = await waitFor(() => readHolder(appliance), { timeoutMs: 2000, everyMs: 10 });
  return holder ? describeWork(appliance, holder) : 'another command is at work';
}

/** The run that is under way, or was interrupted. */
export interface OpenRun {
  readonly run: string;
  /** False: it was interrupted, and is to be recovered. */
  readonly active: boolean;
  readonly at: Place | undefined;
  readonly text: string;
}

/** Looks for a run that has not come to its end, and whether somebody works on it. */
export function describeOpenRun(appliance: Appliance): OpenRun | undefined {
  const run = appliance.state.unfinishedRun();
  if (run === undefined) return undefined;
  const holder = readHolder(appliance);
  const at = currentStep(appliance);
  const text = holder
    ? describeWork(appliance, holder)
    : `the run ${run} was interrupted at "${at?.title ?? 'the beginning'}" and is to be recovered`;
  return { run, active: holder !== undefined, at, text };
}
