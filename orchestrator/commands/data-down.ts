import { untilAborted, type Appliance } from '../appliance/appliance.ts';
import { exitCodes, Refusal } from '../lib/errors.ts';
import { dataMigrationFilesInCheckout, readDataMigrationStates } from '../pipeline/data-pending.ts';
import { callDataMigrations, verifyConfigured } from './data-call.ts';
import type { Locked } from './locked.ts';
import { snapshotName, takeSnapshotQuietly } from './quiet-snapshot.ts';
import type { Session } from './session.ts';

/** Takes a data migration back by its own down(), behind a snapshot that a rollback brings back. Gives the exit code. */
export async function takeBack(
  session: Session,
  { appliance, signals }: Locked,
  word: string,
): Promise<number> {
  const { ui } = session;
  verifyConfigured(appliance);
  await appliance.database?.ensureRunning();
  const id = await findApplied(appliance, word);
  const question = `Take ${id} back? The services stop for a moment, for a snapshot`;
  if (!(await ui.confirm(`${question}.`))) {
    ui.result({ type: 'result', ok: true, exitCode: 0, outcome: 'declined' }, 'Nothing was changed.');
    return exitCodes.ok;
  }
  const name = snapshotName(appliance, `before-down-${id}`);
  const made = await takeSnapshotQuietly(session, { appliance, signals }, name);
  if (made.event.exitCode !== exitCodes.ok) {
    ui.result(made.event, made.text);
    return made.event.exitCode;
  }
  const snapshot = String(made.event['snapshot']);
  const back = `./run.sh rollback ${snapshot}`;
  ui.say(`Snapshot ${snapshot} (${name}) holds everything as it was.`);
  // The snapshot had them shielded to its end.
  signals.unshield();
  const environment = (await appliance.database?.environment()) ?? {};
  return await callDataMigrations(session, untilAborted(appliance, signals.abort.signal), {
    ...{ command: 'down', args: ['--down', id], environment },
    more: { id, snapshot, back },
    lastWord: `  ${ui.paint.bold('Back:')} ${back}`,
  });
}

/**
 * The id that a word means, of a data migration that was applied here.
 *
 * @throws Refusal before anything is stopped for a snapshot
 */
async function findApplied(appliance: Appliance, word: string): Promise<string> {
  const ids = dataMigrationFilesInCheckout(appliance.directory, appliance.config).map(({ id }) => id);
  const found = ids.includes(word)
    ? [word]
    : ids.filter((id) => /^\d+$/.test(word) && Number.parseInt(id, 10) === Number(word));
  const [id, other] = found;
  const cannot = 'cannot take the data migration back';
  if (id === undefined) throw new Refusal(`${cannot}: there is no "${word}"`, './run.sh data list');
  if (other !== undefined)
    throw new Refusal(`${cannot}: ${found.join(' and ')} share the number`, 'name one of them whole');
  const state = (await readDataMigrationStates(appliance)).get(id) ?? 'PENDING';
  if (state !== 'COMPLETED' && state !== 'FAILED')
    throw new Refusal(`${cannot}: ${id} is ${state}, so there is nothing to take back`);
  return id;
}
