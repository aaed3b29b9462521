import { exitCodes, HoldfastError } from '../lib/errors.ts';
import { listSnapshots } from '../snapshot/store.ts';
import { capture, compareCaptures, type Capture } from './capture.ts';
import {
  checkEnd,
  checkUpdated,
  describeJudgement,
  findWrites,
  reportRun,
  type Expected,
  type Findings,
} from './check-run.ts';
import { textOf } from './cli-events.ts';
import { countRows } from './dump.ts';
import { fillData, fillDatabase } from './fill.ts';
import { countWrites } from './ledger.ts';
import { release2 } from './releases/release-2.ts';
import { release3 } from './releases/release-3.ts';
import { runUnderTraffic, type RunUnderTraffic } from './run-under-traffic.ts';
import type { RunReport, Stage } from './stage.ts';
import { publish } from './vendor.ts';

const look = async ({ sandbox, ports, runtime, database }: Stage): Promise<Capture> =>
  await capture(sandbox, ports, runtime, database);

/** What `setup` says at its end is meant for an operator, who would look for the appliance while it is away. */
const adviceOfSetup = /^(Set up\.|\s+Next:)/;

/** Release 1, as an operator sets it up, with something in it. Throws if it cannot be set up. */
export async function installRelease1(stage: Stage): Promise<void> {
  const { cli, ports, sandbox, signal, tell } = stage;
  const { exitCode, aside } = await cli.run(['setup', '--no-color'], undefined, (line) => {
    if (!adviceOfSetup.test(line)) tell.line(line);
  });
  if (exitCode !== 0) {
    throw new HoldfastError(
      `cannot go on with the demo: its setup ended with exit ${exitCode}: ${aside.slice(-5).join('\n')}`,
      {
        exitCode: exitCode === exitCodes.refused ? exitCodes.refused : exitCodes.internal,
        next: 'mend what it says, then ./run.sh demo again',
      },
    );
  }
  const rows = await fillDatabase(ports.backend, signal);
  fillData(sandbox.appliance);
  tell.line(`${rows} rows put in through its API, and some files`);
}

/** A good release. `snapshot` is the one that a rollback will take. */
export async function updateToRelease2(
  stage: Stage,
): Promise<{ report: RunReport; before: Capture; snapshot: string }> {
  const { runtime, sandbox } = stage;
  const expected: Expected = { title: `update to ${release2.tag}`, outcome: 'updated', exitCode: 0 };
  await publish(runtime, sandbox, release2);
  const before = await look(stage);
  const run = await runUnderTraffic(stage, 0, ['update']);
  const report = await reportEnd(stage, run, expected, async () => {
    const after = await look(stage);
    const live = findWrites(stage.ledger.rows(allEras), after.dump);
    return {
      lostWrites: live.lostWrites,
      rows: countRows(after.dump),
      problems: [
        ...describeJudgement(live, 'the database'),
        ...checkUpdated(before, after, run.prefix).map((text) => `${expected.title}: ${text}`),
      ],
    };
  });
  return { report, before, snapshot: textOf(run.ended.result, 'run') ?? '' };
}

/** A release whose data migration throws half-way: everything is to be as it was right before. */
export async function failToUpdateToRelease3(stage: Stage): Promise<RunReport> {
  const { runtime, sandbox } = stage;
  const expected: Expected = {
    title: `update to ${release3.tag}`,
    outcome: 'restored',
    exitCode: 10,
    failedStep: 'migrate-data',
  };
  await publish(runtime, sandbox, release3);
  const before = await look(stage);
  const run = await runUnderTraffic(stage, 1, ['update']);
  return await reportEnd(stage, run, expected, async () => {
    const after = await look(stage);
    const live = findWrites(stage.ledger.rows(allEras), after.dump);
    return {
      lostWrites: live.lostWrites,
      rows: countRows(after.dump),
      differences: compareCaptures(before, after, run.prefix),
      problems: describeJudgement(live, 'the database'),
    };
  });
}

/**
 * Back to release 1 as the snapshot of the first update has it. The tree, git and what answers are held against what was
 * taken down before that update; the data against the snapshot's own dump, since the client wrote until it was made. What
 * the client wrote later (eras 1 and 2) must be in the snapshot that the rollback makes first.
 */
export async function rollBackToRelease1(
  stage: Stage,
  first: { before: Capture; snapshot: string },
): Promise<RunReport> {
  const { database, ledger, sandbox } = stage;
  const expected: Expected = { title: 'rollback to v1.0.0', outcome: 'rolled-back', exitCode: 0 };
  const run = await runUnderTraffic(stage, 2, ['rollback', '--yes']);
  return await reportEnd(stage, run, expected, async () => {
    const after = await look(stage);
    const wanted = { ...first.before, dump: await database.snapshot(first.snapshot) };
    const inSnapshotOrLater = ledger.rows((era) => era === 0 || era === 3);
    const live = findWrites(inSnapshotOrLater, after.dump);
    const untilTheRollback = ledger.rows((era) => era < 3);
    const safety = findWrites(untilTheRollback, await database.snapshot(findSafetySnapshot(sandbox.backups)));
    return {
      lostWrites: live.lostWrites + safety.lostWrites,
      rows: countRows(after.dump) + safety.rows,
      differences: compareCaptures(wanted, after, run.prefix),
      setAside: countWrites(ledger.rows((era) => era === 1 || era === 2)),
      problems: [
        ...describeJudgement(live, 'the database'),
        ...describeJudgement(safety, 'the safety snapshot'),
      ],
    };
  });
}

const allEras = () => true;

/**
 * Tells how a run went. Its result is looked into only if it ended as it should: what another end would leave behind
 * would be compared with the wrong thing. Then nothing of what was written counts as found.
 */
async function reportEnd(
  { ledger, tell }: Stage,
  run: RunUnderTraffic,
  expected: Expected,
  check: () => Promise<Findings>,
): Promise<RunReport> {
  const { acknowledged, refused } = run.traffic;
  tell.line(
    `the client: ${acknowledged} writes acknowledged, ${refused} refused while the appliance was away`,
  );
  const problems = checkEnd(run, expected);
  if (problems.length === 0) return reportRun(run, expected, await check());
  return reportRun(run, expected, { lostWrites: countWrites(ledger.rows(allEras)), rows: 0, problems });
}

function findSafetySnapshot(backups: string): string {
  const found = listSnapshots(backups).find(({ manifest }) => manifest?.kind === 'before-rollback');
  if (!found) throw new Error('the rollback made no safety snapshot');
  return found.id;
}
