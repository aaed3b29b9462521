import type { Program } from '../appliance/appliance.ts';
import { plural } from '../lib/units.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { changedFiles } from '../tools/git-facts.ts';
import { databaseReader } from './database-text.ts';
import { cliFor } from './holdfast-cli.ts';
import { endLeftovers } from './leftovers.ts';
import { Ledger } from './ledger.ts';
import { freePort } from '../lib/ports.ts';
import { release1 } from './releases/release-1.ts';
import type { Sandbox } from './sandbox.ts';
import { failToUpdateToRelease3, installRelease1, rollBackToRelease1, updateToRelease2 } from './scenes.ts';
import type { RunReport, Stage } from './stage.ts';
import type { Teller } from './teller.ts';
import { cloneAppliance, foundVendor, publish } from './vendor.ts';

export interface DemoOptions {
  readonly program: Program;
  readonly runtime: Runtime;
  readonly sandbox: Sandbox;
  readonly signal: AbortSignal;
  readonly tell: Teller;
}

export interface DemoReport {
  readonly runs: readonly RunReport[];
  /** What was not as promised, in all of it; empty when all is well. */
  readonly problems: readonly string[];
}

/**
 * Plays the demo: an update, one that fails and is restored, a rollback, each while a client writes, each checked past
 * the code that did it. After a run that was not as promised the next is not begun.
 */
export async function playDemo(options: DemoOptions): Promise<DemoReport> {
  const { tell } = options;
  tell.heading('Release 1 is installed: an appliance of its own, with its own upstream and database');
  const stage = await setTheStage(options);
  await installRelease1(stage);

  const runs = await playRuns(stage);

  tell.heading('Everything that was started is stopped');
  const problems = [...runs.flatMap((run) => run.problems), ...(await stopAll(stage))];
  return { runs, problems };
}

async function setTheStage(options: DemoOptions): Promise<Stage> {
  const { program, runtime, sandbox, signal, tell } = options;
  await foundVendor(runtime, program.home, sandbox);
  const changed = (await changedFiles(runtime, program.home)).length;
  if (changed > 0) tell.line(`left out: ${plural(changed, 'uncommitted change')} of this checkout`);
  const backend = await freePort();
  const ports = { backend, frontend: await freePort([backend]) };
  await publish(runtime, sandbox, release1(ports));
  await cloneAppliance(runtime, sandbox);
  return {
    ...options,
    ports,
    ledger: new Ledger(),
    cli: cliFor(program, sandbox, runtime, signal),
    database: databaseReader(program, sandbox, runtime),
  };
}

async function playRuns(stage: Stage): Promise<RunReport[]> {
  const { tell } = stage;
  tell.heading('Release 2 is out: the appliance is updated while a client writes');
  const first = await updateToRelease2(stage);
  if (first.report.problems.length > 0) return [first.report];

  tell.heading('Release 3 is out, and broken: its data migration throws half-way through the rows');
  const second = await failToUpdateToRelease3(stage);
  if (second.problems.length > 0) return [first.report, second];

  tell.heading('Back to release 1, with the data of then: rollback');
  return [first.report, second, await rollBackToRelease1(stage, first)];
}

/** Stops the appliance as its operator would. What runs all the same is ended, and is a problem. */
async function stopAll({ cli, sandbox, runtime }: Stage): Promise<string[]> {
  const { exitCode, aside } = await cli.run(['stop', '--database', '--json']);
  const left = await endLeftovers(sandbox, runtime);
  return [
    ...(exitCode === 0 ? [] : [`stop --database ended with exit ${exitCode}: ${aside.slice(-3).join(' ')}`]),
    ...(left === 0 ? [] : [`${plural(left, 'process', 'processes')} still ran after stop --database`]),
  ];
}
