import { join } from 'node:path';
import { runMark, type Appliance } from '../appliance/appliance.ts';
import { stopServices } from '../appliance/services.ts';
import { loadAppliance } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { messageOf, NotRestoredError, Refusal } from '../lib/errors.ts';
import { bootId } from '../lib/processes.ts';
import { removeTree } from '../lib/remove-tree.ts';
import { dropUnsealed } from '../snapshot/draft.ts';
import { releaseReserves, releaseInPlaces } from '../snapshot/reserve.ts';
import { findBeyond, restoreSnapshot, warningsOf } from '../snapshot/restore.ts';
import { registryPath } from '../snapshot/registry.ts';
import { verifySnapshot } from '../snapshot/store.ts';
import type { Listener } from './events.ts';
import { insteadOfDamaged } from './failures.ts';
import { answeredBefore, phaseOf, type RunPhase } from './journal-entries.ts';
import type { Run } from './run.ts';
import { openToAll, startAndVerify } from './starting.ts';

export interface RecoveryReport {
  /** Where the run was found. */
  readonly phase: RunPhase;
  /** What the appliance is now. */
  readonly state: 'unchanged' | 'before' | 'after';
  /** What was compared and found identical; empty where nothing had to be restored. */
  readonly compared: string;
  /** Databases that were none of the appliance's: dropped by the run, and in no snapshot. */
  readonly gone: readonly string[];
  readonly restoreMs: number;
}

/**
 * Brings an appliance whose run did not come to its end back to one whole version (the table in lxd/UPDATE_SYSTEM_DESIGN.md). The only
 * recovery there is: a failing step, a signal and a new process after a kill all come here. It decides by the journal
 * and by what is on disk, never by how the run failed, and may be killed and run again at any instant.
 *
 * @throws NotRestoredError with both what failed and what to do
 */
export async function recoverRun(
  appliance: Appliance,
  run: Run,
  because: string,
  listener: Listener,
): Promise<RecoveryReport> {
  const { journal } = run;
  const reached = phaseOf(journal.records);
  // A backup changes nothing: once its snapshot is sealed there is nothing to restore, only services to start.
  const phase = run.started.kind === 'backup' && reached === 'sealed' ? 'window' : reached;
  const startedAt = performance.now();
  const note = (message: string) => listener({ type: 'note', message });
  await appliance.runtime.endRun(runMark(appliance, run.id));
  // A reboot has left nothing running. What a run had not touched is left as it is.
  if (phase !== 'prepared') await appliance.runtime.prepare();
  // Whatever is to be written now, a record, the database's access file, it may be a full disk that led here.
  releaseReserves(appliance, run.id);
  await releaseInPlaces(appliance);
  const report = (
    state: RecoveryReport['state'],
    { compared = '', gone = [] }: Partial<Pick<RecoveryReport, 'compared' | 'gone'>> = {},
  ): RecoveryReport => ({
    ...{ phase, state, compared, gone },
    restoreMs: performance.now() - startedAt,
  });
  switch (phase) {
    case 'finished':
      return report(endOf(run));
    case 'prepared':
      dropPrepared(run);
      return report('unchanged');
    case 'committed':
      await finishCommitted(appliance, run, note);
      return report('after');
    case 'window':
      await stopServices(appliance, appliance.config, note);
      await endLeftSessions(appliance, note);
      await startFormer(appliance, run, appliance.config, note);
      // Only now: a backup disk that fails must not keep the appliance down.
      dropUnsealedIfPossible(appliance, note);
      dropPrepared(run);
      return report('before');
    case 'sealed':
    case 'restored': {
      const restored =
        phase === 'sealed'
          ? await restoreSealed(appliance, run, because, listener)
          : await readRestored(appliance, run);
      await startFormer(appliance, run, restored.config, note);
      return report('before', restored);
    }
  }
}

/** A run that had come to its end, but died before it could say that it is no longer open. */
function endOf({ journal }: Run): RecoveryReport['state'] {
  switch (journal.last('finished')?.outcome) {
    case 'updated':
    case 'rolled-back':
    case 'migrated':
      return 'after';
    case 'restored':
      return 'before';
    default:
      return 'unchanged';
  }
}

function dropUnsealedIfPossible(appliance: Appliance, note: (line: string) => void): void {
  try {
    dropUnsealed(appliance.backupsDirectory);
  } catch (error) {
    note(`the half-made snapshot could not be removed: ${messageOf(error)}`);
  }
}

/** A dump that was killed may wait on in the server for a lock, and hold others meanwhile. */
async function endLeftSessions(appliance: Appliance, note: (line: string) => void): Promise<void> {
  try {
    await appliance.database?.ensureRunning();
    await appliance.database?.seclude();
  } catch (error) {
    // Whether the former version can start is seen when it is started.
    note(`sessions on the database could not be ended: ${messageOf(error)}`);
  }
}

/** What was staged is worth nothing any more. */
function dropPrepared(run: Run): void {
  removeTree(join(run.folder, 'code'));
}

type Restored = Pick<RecoveryReport, 'compared' | 'gone'> & { readonly config: Config };

async function restoreSealed(
  appliance: Appliance,
  run: Run,
  because: string,
  listener: Listener,
): Promise<Restored> {
  const { journal } = run;
  const sealed = journal.last('sealed');
  if (!sealed) throw new Error('no sealed snapshot in the journal');
  const folder = join(appliance.backupsDirectory, sealed.snapshot);
  let isDamaged = false;
  journal.append({ type: 'restore-started', because: appliance.secrets.mask(because) });
  try {
    const manifest = await verifySnapshot(folder, { strays: 'ignore' }).catch((error: unknown) => {
      isDamaged = error instanceof Refusal;
      throw error;
    });
    const mark = `${run.id}-back`;
    const begun = journal.last('database-replacement');
    const forward = journal.records.findLast(
      (record) => record.type === 'database-replacement' && record.mark === run.id,
    );
    const report = await restoreSnapshot({
      appliance,
      manifest,
      folder,
      runId: run.id,
      mark,
      replacement: begun?.mark === mark ? begun : undefined,
      readAll: run.started.boot !== bootId(),
      forward: forward?.type === 'database-replacement' ? forward : undefined,
      // The registry belongs to the database.
      keep: appliance.database?.isShared === true ? [registryPath(manifest.configuration) ?? ''] : undefined,
      phase: (phase, state) => {
        journal.append({ type: 'restore-phase', phase, state });
        listener({ type: 'restore', phase, state });
      },
      announceReplacement: (pair) =>
        journal.append({
          type: 'database-replacement',
          mark,
          live: pair.live,
          replacement: pair.replacement,
        }),
      note: (message) => listener({ type: 'note', message }),
    });
    journal.append({ type: 'restored' });
    for (const message of warningsOf(report)) listener({ type: 'warning', message });
    if (appliance.database?.isShared === true)
      listener({
        type: 'warning',
        message:
          'the database is NOT RESTORED, since another environment works on it as well: what this run migrated stays as it is. See ./run.sh migrate status',
      });
    return { ...report, config: manifest.configuration };
  } catch (error) {
    if (error instanceof NotRestoredError) throw error;
    const goesOn = './run.sh recover goes on where this stopped';
    // What keeps a restore from going on, such as a program that has the database open, says itself what to do.
    const first = error instanceof Refusal ? error.next : undefined;
    const next = isDamaged
      ? await insteadOfDamaged(appliance.backupsDirectory, sealed.snapshot)
      : first === undefined
        ? `${goesOn}; the data is safe in the snapshot`
        : `${first}; ${goesOn}, and the data is safe in the snapshot`;
    throw new NotRestoredError(`the restore of snapshot ${sealed.snapshot} failed: ${messageOf(error)}`, {
      next,
      cause: error,
    });
  }
}

async function readRestored(appliance: Appliance, run: Run): Promise<Restored> {
  const sealed = run.journal.last('sealed');
  const manifest = await verifySnapshot(join(appliance.backupsDirectory, sealed?.snapshot ?? ''), {
    strays: 'ignore',
  });
  await appliance.database?.ensureRunning();
  const { gone } = await findBeyond(appliance, manifest);
  return { compared: 'identical, before the interruption', gone, config: manifest.configuration };
}

/** Lets everybody in and starts the version of before, as far as it ran before; then asks it who it is. */
async function startFormer(
  appliance: Appliance,
  run: Run,
  config: Config,
  note: (line: string) => void,
): Promise<void> {
  const wanted = new Set(run.journal.last('window-opened')?.services ?? []);
  try {
    await openToAll(appliance, config);
    await startAndVerify(
      appliance,
      config,
      { commit: run.started.from, label: run.started.fromLabel },
      { only: wanted, note, answered: answeredBefore(run.journal.records) },
    );
  } catch (error) {
    throw new NotRestoredError(
      `${phaseOf(run.journal.records) === 'window' ? 'nothing had been changed yet' : 'everything is restored'}, but the version of before does not run: ${messageOf(error)}`,
      { next: './run.sh recover tries again; ./run.sh logs shows why', cause: error },
    );
  }
}

/** After the commit nothing is restored: the gate opens, what does not run is started, and a failure is told. */
async function finishCommitted(appliance: Appliance, run: Run, note: (line: string) => void): Promise<void> {
  dropPrepared(run);
  let config: Config | undefined;
  let unreadable: unknown;
  try {
    ({ config } = loadAppliance(appliance.file));
  } catch (error) {
    unreadable = error;
  }
  await openToAll(appliance, config);
  if (run.journal.last('committed')?.leaveStopped === true) return;
  try {
    if (!config) throw unreadable;
    await startAndVerify(appliance, config, { commit: run.started.to, label: run.started.toLabel }, { note });
  } catch (error) {
    throw new NotRestoredError(`the new version is in place, but does not run: ${messageOf(error)}`, {
      next: './run.sh start, or ./run.sh rollback',
      cause: error,
    });
  }
}
