import { mkdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { exitCodes, InterruptedError, messageOf, Refusal } from '../lib/errors.ts';
import { formatBytes } from '../lib/units.ts';
import type { Register } from '../main.ts';
import { noteRehearsal } from '../pipeline/last-rehearsal.ts';
import { estimateOutage } from '../pipeline/outage-estimate.ts';
import { rehearsalFolder, rehearse, removeRehearsal, type RehearsalSource } from '../pipeline/rehearsal.ts';
import type { Target } from '../pipeline/step.ts';
import { lintTarget } from '../pipeline/schema-gate.ts';
import { verifyStaysInside } from '../schema-migrations/stays-inside.ts';
import { findDestination, readOrigin } from '../pipeline/target.ts';
import { chooseByName } from '../snapshot/choose.ts';
import { databaseDump, holdsDump } from '../snapshot/manifest.ts';
import { listSnapshots, verifySnapshot, type SnapshotListing } from '../snapshot/store.ts';
import { locked } from './locked.ts';
import { describeReport, type Rehearsal } from './rehearsal-report.ts';
import type { Session } from './session.ts';

interface RehearseOptions {
  readonly to?: string;
  readonly snapshot?: string | true;
  readonly withFiles?: boolean;
}

export const registerRehearse: Register = (program, act) => {
  program
    .command('rehearse')
    .option('--to <ref>', 'a branch, tag or commit, instead of the one that appliance.yaml follows')
    .option(
      '--snapshot [id]',
      'on the rows of a snapshot (the newest), instead of a copy of the live database',
    )
    .option('--with-files', 'copy the data files as well, for data migrations that work on them')
    .description('try the coming migrations on a copy of the database; the appliance serves meanwhile')
    .addHelpText(
      'after',
      '\nExit: 0 an update would come through, 3 it would not; nothing is stopped or changed.',
    )
    .action(
      act(
        async (session, options: RehearseOptions) =>
          await locked(session, 'rehearse', async ({ appliance, signals }) => {
            const destination = await findDestination(appliance, options.to);
            const target = {
              ...destination.target,
              ...(options.to === undefined ? {} : { asked: { to: options.to } }),
            };
            const report = await rehearseAndTell(session, appliance, target, {
              signal: signals.abort.signal,
              ...(options.snapshot === undefined ? {} : { snapshot: options.snapshot }),
              withFiles: options.withFiles === true,
            });
            const exitCode = report.ok ? exitCodes.ok : exitCodes.refused;
            const estimateMs = estimateOutage(appliance, report.migrations);
            session.ui.result(
              {
                ...{
                  type: 'result',
                  ok: report.ok,
                  exitCode,
                  to: target.label,
                  restoreMs: Math.round(report.restoreMs),
                },
                migrations: report.migrations.map((one) => ({ ...one, ms: Math.round(one.ms) })),
                ...(estimateMs === undefined ? {} : { estimatedOutageMs: Math.round(estimateMs) }),
              },
              describeReport(report, target, estimateMs, session.ui.paint),
            );
            return exitCode;
          }),
      ),
    );
};

/**
 * Rehearses under the lock, and says what it is doing.
 *
 * @throws Refusal where it could not even be tried
 */
export async function rehearseAndTell(
  session: Session,
  appliance: Appliance,
  target: Target,
  {
    signal,
    snapshot,
    withFiles = false,
  }: { signal: AbortSignal; snapshot?: string | true; withFiles?: boolean },
): Promise<Rehearsal> {
  const { ui } = session;
  const note = (line: string) => ui.say(ui.paint.dim(`  ${line}`));
  await removeRehearsal(appliance);
  try {
    await appliance.database?.ensureRunning();
    const linted = await lintTarget(appliance, await readOrigin(appliance), target);
    verifyStaysInside(linted, `rehearse ${target.label}`, { unread: 'refuse' });
    await verifyRoom(appliance);
    const source = await findSource(appliance, snapshot, signal, note);
    ui.say(
      `Rehearsing ${target.label} on ${source.snapshot === undefined ? 'a copy of the live database' : `the rows of ${source.snapshot}`} ...`,
    );
    const report = await rehearse(appliance, target, source, { note, output: () => {}, signal, withFiles });
    const { commit, label } = target;
    noteRehearsal(appliance, { commit, label, ok: report.ok, at: new Date().toISOString() });
    return { ...report, linted };
  } catch (error) {
    if (error instanceof InterruptedError || error instanceof Refusal) throw error;
    signal.throwIfAborted();
    throw new Refusal(
      `cannot rehearse ${target.label}: ${messageOf(error)}`,
      'nothing was stopped or changed; send these lines to the vendor if it is the release that fails',
      error,
    );
  } finally {
    await removeRehearsal(appliance);
  }
}

/** The rows to try it on: those of now, dumped while the appliance serves, or those of a snapshot. */
async function findSource(
  appliance: Appliance,
  wanted: string | true | undefined,
  signal: AbortSignal,
  note: (line: string) => void,
): Promise<RehearsalSource> {
  const { database, backupsDirectory } = appliance;
  if (!database) throw new Refusal('cannot rehearse: this appliance has no database');
  const folder = rehearsalFolder(appliance);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (wanted === undefined) {
    note('a dump of the live database');
    const file = join(folder, databaseDump);
    const facts = await database.describeProperties();
    await database.dump(file, signal);
    return { snapshot: undefined, file, facts };
  }
  const listings = listSnapshots(backupsDirectory);
  const chosen =
    wanted === true
      ? listings.find((one) => one.manifest && holdsDump(one.manifest))
      : chooseByName({ listings, commit: '', committed: () => undefined }, wanted);
  if (!chosen)
    throw new Refusal(
      'cannot rehearse on a snapshot: there is none with a database',
      './run.sh backup create',
    );
  return await fromSnapshot(chosen, note);
}

async function fromSnapshot(
  { id, folder }: SnapshotListing,
  note: (line: string) => void,
): Promise<RehearsalSource> {
  note(`checking the snapshot ${id}`);
  const manifest = await verifySnapshot(folder);
  if (!manifest.database || !holdsDump(manifest))
    throw new Refusal(
      `cannot rehearse on ${id}: it holds no dump of a database`,
      './run.sh rehearse takes the live rows',
    );
  return { snapshot: id, file: join(folder, databaseDump), facts: manifest.database };
}

/** @throws Refusal where the copy would not fit beside what is there */
async function verifyRoom({ database, state }: Appliance): Promise<void> {
  const room = await database?.roomForRestore();
  if (!room) return;
  const { bavail, bsize } = statfsSync(state.path);
  const free = bavail * bsize;
  if (free < room.bytes)
    throw new Refusal(
      `cannot rehearse: ${formatBytes(free)} free at ${state.path}, ${formatBytes(room.bytes)} needed for a copy of the database`,
      'make room (./run.sh backup prune), then try again',
    );
}
