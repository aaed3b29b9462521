import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { insideRun, openAppliance, type Appliance, type Program } from '../appliance/appliance.ts';
import { StateDirectory } from '../appliance/state.ts';
import { place } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { fsyncDirectory, renameDurably, writeFileAtomic } from '../lib/atomic-file.ts';
import { NotRestoredError } from '../lib/errors.ts';
import { bootId } from '../lib/processes.ts';
import type { Secrets } from '../lib/secrets.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { CopiedRunError, damagedRun } from './damaged-run.ts';
import { Journal, readJournal } from './journal.ts';
import { forgetOpenRun, pointToOpenRun } from './open-run.ts';
import { phaseOf, stateFormat, type RunKind, type RunStarted } from './journal-entries.ts';
import type { Origin, Target } from './step.ts';

/** A run that exists on disk: its folder, its journal, what it is about. */
export interface Run {
  readonly id: string;
  readonly folder: string;
  readonly journal: Journal;
  readonly started: RunStarted;
}

/** What a run pins for its recovery, beside its journal. */
interface PinnedConfiguration {
  readonly file: string;
  readonly directory: string;
  readonly config: Config;
  readonly program: Program;
}

/**
 * Begins a run: folder, journal, pinned configuration, the recovery script, and last the mark that says that it is
 * unfinished. From that mark on, whoever comes next recovers first.
 */
export function beginRun(
  appliance: Appliance,
  kind: RunKind,
  origin: Origin,
  target: Target,
  options: { id: string; sequence: number; snapshot?: string },
): Run {
  const { state, program, config, directory, file } = appliance;
  const folder = state.run(options.id);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  fsyncDirectory(state.runs);
  const journal = Journal.create(join(folder, 'journal.ndjson'));
  const started: RunStarted = {
    type: 'run-started',
    format: stateFormat,
    run: options.id,
    kind,
    sequence: options.sequence,
    pid: process.pid,
    boot: bootId(),
    from: origin.commit,
    to: target.commit,
    fromLabel: origin.label,
    toLabel: target.label,
    ...(options.snapshot === undefined ? {} : { snapshot: options.snapshot }),
  };
  journal.append(started);
  const pinned: PinnedConfiguration = { file, directory, config, program };
  writeFileAtomic(join(folder, 'configuration.json'), `${JSON.stringify(pinned, null, 2)}\n`);
  writeRecoverScript(state, program, options.id);
  pointToOpenRun(directory, state.path);
  state.markUnfinished(options.id);
  return { id: options.id, folder, journal, started };
}

/**
 * Writes `.holdfast/recover`: what recovers the open run, with absolute paths to the very Node and runner that began
 * it. run.sh hands over to it before it installs or builds anything.
 */
function writeRecoverScript(state: StateDirectory, program: Program, runId: string): void {
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const missing = `cannot recover: ${program.node} or ${program.runner} is gone, which began the run ${runId}. Nothing was touched. Put them back, then run this again.`;
  const home = realpathSync(state.path);
  const copied = new CopiedRunError(runId, home);
  const script = `#!/bin/sh
# Written by Holdfast for run ${runId}: recovers it with the Node and the runner that began it.
if [ "$(CDPATH= cd -- "$(dirname -- "$0")" && pwd -P)" != ${quote(home)} ]; then
  printf '%s\\n' ${quote(`${copied.message}. ${copied.next}`)} >&2
  exit 3
fi
if [ ! -x ${quote(program.node)} ] || [ ! -f ${quote(join(program.runner, 'main.mjs'))} ]; then
  printf '%s\\n' ${quote(missing)} >&2
  exit 11
fi
HOLDFAST_HOME=${quote(program.home)} HOLDFAST_RECOVERING=${quote(state.path)} exec ${quote(program.node)} ${quote(join(program.runner, 'main.mjs'))} "$@"
`;
  writeFileAtomic(`${state.recoverScript}.new`, script, 0o700);
  chmodSync(`${state.recoverScript}.new`, 0o700);
  renameDurably(`${state.recoverScript}.new`, state.recoverScript);
}

/** True if a run that a state directory tells of was begun in it, and not in one that it is a copy of. */
function isAtHome(statePath: string, pinned: PinnedConfiguration): boolean {
  const { stateDirectory } = place(pinned.config, pinned.file, pinned.directory);
  return existsSync(stateDirectory) && realpathSync(stateDirectory) === realpathSync(statePath);
}

/** What a run pinned. Undefined where that cannot be read. */
export function readPinned(statePath: string, runId: string): PinnedConfiguration | undefined {
  try {
    const text = readFileSync(join(new StateDirectory(statePath).run(runId), 'configuration.json'), 'utf8');
    const pinned = JSON.parse(text) as Partial<PinnedConfiguration> | null;
    const isWhole = pinned?.file && pinned.directory && pinned.config && pinned.program;
    return isWhole ? (pinned as PinnedConfiguration) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The appliance in a checkout as the configuration has it that a run pinned. Undefined where none can be read, or where
 * it is that of another checkout, which this is a copy of.
 */
export function openPinned(
  directory: string,
  { statePath, runId }: { statePath: string; runId: string },
  options: { program: Program; runtime: Runtime; secrets: Secrets; say: (line: string) => void },
): Appliance | undefined {
  const pinned = readPinned(statePath, runId);
  if (pinned && realpathSync(directory) !== realpathSync(pinned.directory)) return undefined;
  return pinned && openAppliance(place(pinned.config, pinned.file, pinned.directory), options);
}

/**
 * Opens the run that was left open, with the appliance as its pinned configuration has it.
 *
 * @throws NotRestoredError if what is on disk of it cannot be believed: then nothing was touched
 */
export function reopenRun(
  statePath: string,
  runId: string,
  options: { runtime: Runtime; secrets: Secrets; say: (line: string) => void },
): { run: Run; appliance: Appliance } {
  const state = new StateDirectory(statePath);
  const folder = state.run(runId);
  const path = join(folder, 'journal.ndjson');
  if (runId === '' || !existsSync(folder)) throw damagedRun(state, runId, `${folder} is gone`);
  if (!existsSync(path)) throw damagedRun(state, runId, `${path} is gone`);
  const pinned = readPinned(statePath, runId);
  if (!pinned) throw damagedRun(state, runId, `its configuration.json is missing or cannot be read`);
  if (!isAtHome(statePath, pinned)) {
    const { stateDirectory } = place(pinned.config, pinned.file, pinned.directory);
    throw new CopiedRunError(runId, stateDirectory);
  }
  const journal = Journal.open(path);
  const started = journal.last('run-started');
  if (!started) throw damagedRun(state, runId, `${path} holds no record`);
  verifyFormat(state, started);
  verifyNewest(state, started);
  const loaded = place(pinned.config, pinned.file, pinned.directory);
  const appliance = openAppliance(loaded, { program: pinned.program, ...options });
  return { run: { id: runId, folder, journal, started }, appliance: insideRun(appliance, runId) };
}

/** A journal in a format of a later version may mean by its records what this one does not know. */
function verifyFormat(state: StateDirectory, { run, format }: RunStarted): void {
  if (format <= stateFormat) return;
  throw new NotRestoredError(
    `the journal of run ${run} is of format ${format}, and this version reads formats up to ${stateFormat}. Nothing was touched`,
    { next: `${state.recoverScript} recover, which is the version that began it` },
  );
}

/**
 * Order is a matter of the counter, never of the clock: a run that began later and is open as well means that one
 * of two marks was lost, or that the state was put together from two copies.
 */
function verifyNewest(state: StateDirectory, { run }: RunStarted): void {
  const runs = state.runIds();
  for (const later of runs.slice(runs.indexOf(run) + 1)) {
    const phase = phaseOf(readJournal(join(state.run(later), 'journal.ndjson')));
    if (phase === 'prepared' || phase === 'finished') continue;
    throw new NotRestoredError(
      `two runs are unfinished: ${run}, which ${state.unfinished} names, and ${later}, which began after it and came to "${phase}". Nothing was touched`,
      {
        next: `see ./run.sh logs ${later}; if that run is the one to recover: echo ${later} > '${state.unfinished}', then ./run.sh recover`,
      },
    );
  }
}

/** The end of a run, durable; only then is it no longer unfinished. */
export function finishRun(
  appliance: Appliance,
  run: Run,
  finished: Omit<Parameters<Journal['append']>[0] & { type: 'finished' }, 'type'>,
): void {
  run.journal.append({ type: 'finished', ...finished });
  run.journal.close();
  appliance.state.clearUnfinished();
  forgetOpenRun(appliance.directory);
}
