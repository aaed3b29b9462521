import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { insideRun, openAppliance, type Appliance, type Program } from '../appliance/appliance.ts';
import { StateDirectory } from '../appliance/state.ts';
import { place } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { renameDurably, writeFileAtomic } from '../lib/atomic-file.ts';
import type { Secrets } from '../lib/secrets.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Journal } from './journal.ts';
import { forgetOpenRun, pointToOpenRun } from './open-run.ts';
import { stateFormat, type RunKind, type RunStarted } from './journal-entries.ts';
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
  const journal = Journal.create(join(folder, 'journal.ndjson'));
  const started: RunStarted = {
    type: 'run-started',
    format: stateFormat,
    run: options.id,
    kind,
    sequence: options.sequence,
    pid: process.pid,
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
  const script = `#!/bin/sh
# Written by Holdfast for run ${runId}: recovers it with the Node and the runner that began it.
HOLDFAST_HOME=${quote(program.home)} HOLDFAST_RECOVERING=${quote(state.path)} exec ${quote(program.node)} ${quote(join(program.runner, 'main.mjs'))} "$@"
`;
  writeFileAtomic(`${state.recoverScript}.new`, script, 0o700);
  chmodSync(`${state.recoverScript}.new`, 0o700);
  renameDurably(`${state.recoverScript}.new`, state.recoverScript);
}

/** The appliance as the configuration has it that a run pinned. Undefined where none can be read. */
export function openPinned(
  statePath: string,
  runId: string,
  options: { program: Program; runtime: Runtime; secrets: Secrets; say: (line: string) => void },
): Appliance | undefined {
  const path = join(new StateDirectory(statePath).run(runId), 'configuration.json');
  if (!existsSync(path)) return undefined;
  const pinned = JSON.parse(readFileSync(path, 'utf8')) as PinnedConfiguration;
  return openAppliance(place(pinned.config, pinned.file, pinned.directory), options);
}

/** Opens the run that was left open, with the appliance as its pinned configuration has it. */
export function reopenRun(
  statePath: string,
  runId: string,
  options: { runtime: Runtime; secrets: Secrets; say: (line: string) => void },
): { run: Run; appliance: Appliance } {
  const folder = new StateDirectory(statePath).run(runId);
  const journal = Journal.open(join(folder, 'journal.ndjson'));
  const started = journal.last('run-started');
  if (!started) throw new Error(`the journal of run ${runId} is empty`);
  const pinned = JSON.parse(readFileSync(join(folder, 'configuration.json'), 'utf8')) as PinnedConfiguration;
  const loaded = place(pinned.config, pinned.file, pinned.directory);
  const appliance = openAppliance(loaded, { program: pinned.program, ...options });
  return { run: { id: runId, folder, journal, started }, appliance: insideRun(appliance, runId) };
}

/** True if that run came far enough to have anything to recover. */
export function hasJournal(statePath: string, runId: string): boolean {
  const folder = new StateDirectory(statePath).run(runId);
  return existsSync(join(folder, 'configuration.json'));
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
