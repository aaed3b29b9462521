import type { Appliance } from '../appliance/appliance.ts';
import { exitCodes, messageOf, Refusal } from '../lib/errors.ts';
import { plural } from '../lib/units.ts';
import { chooseByName } from '../snapshot/choose.ts';
import { inspectFiles } from '../snapshot/inspect-archive.ts';
import { databaseDump, holdsDatabase, holdsDump, type Manifest } from '../snapshot/manifest.ts';
import { listSnapshots, verifySnapshot } from '../snapshot/store.ts';
import { join } from 'node:path';
import { locked } from './locked.ts';
import type { Session } from './session.ts';

/** Reads every byte of one snapshot or of all; deep, the dump is restored into a scratch database, too. */
export async function verify(session: Session, id: string | undefined, deep: boolean): Promise<number> {
  // A scratch database would be taken for a leftover by whoever prunes meanwhile: hence the lock.
  return deep
    ? await locked(session, 'verify', async ({ appliance }) => await verifyAll(session, appliance, id, true))
    : await verifyAll(session, session.open(), id, false);
}

async function verifyAll(
  session: Session,
  appliance: Appliance,
  id: string | undefined,
  deep: boolean,
): Promise<number> {
  const listings = listSnapshots(appliance.backupsDirectory);
  const choice = { listings, commit: '', committed: () => undefined };
  const chosen =
    id === undefined ? listings : [listings.find((one) => one.id === id) ?? chooseByName(choice, id)];
  const results: { id: string; ok: boolean; problem?: string }[] = [];
  for (const { id: one, folder } of chosen) {
    try {
      const manifest = await verifySnapshot(folder);
      const wrong = deep ? await lookInside(session, appliance, manifest, folder) : [];
      if (wrong.length > 0) throw new Refusal(`cannot use the snapshot ${one}: ${wrong.join('; ')}`);
      results.push({ id: one, ok: true });
      session.ui.print(
        `✔ ${one}: ${plural(manifest.parts.length, 'part')}, all as sealed${deep ? '; restored on trial' : ''}`,
      );
    } catch (error) {
      results.push({ id: one, ok: false, problem: messageOf(error) });
      session.ui.print(`✖ ${one}: ${messageOf(error)}`);
    }
  }
  const bad = results.filter(({ ok }) => !ok).length;
  const exitCode = bad === 0 ? exitCodes.ok : exitCodes.refused;
  session.ui.result(
    { type: 'result', ok: bad === 0, exitCode, snapshots: results },
    bad === 0
      ? `${plural(results.length, 'snapshot')} verified.`
      : `${bad} of ${plural(results.length, 'snapshot')} cannot be used.\n  Next: ./run.sh backup create, then remove the damaged ones`,
  );
  return exitCode;
}

/** Archives entry by entry against their inventories; the dump by restoring it and counting what came back. */
async function lookInside(
  session: Session,
  { database }: Appliance,
  manifest: Manifest,
  folder: string,
): Promise<string[]> {
  const problems = await inspectFiles(manifest, folder);
  if (!manifest.database || !holdsDatabase(manifest)) return problems;
  if (!database) return [...problems, 'its database cannot be tried: this appliance has none'];
  if (!holdsDump(manifest)) {
    session.ui.say(`${manifest.id}: its database is a copy of its volume, which is not tried`);
    const isThere = (await database.copies?.has(manifest.volume ?? '')) === true;
    return isThere ? problems : [...problems, `the volume ${manifest.volume} with its database is gone`];
  }
  session.ui.say(`${manifest.id}: restoring the database on trial ...`);
  try {
    await database.ensureRunning();
    const differences = await database.tryDump(join(folder, databaseDump), manifest.database);
    return [...problems, ...differences.map((line) => `${databaseDump}: ${line}`)];
  } catch (error) {
    return [...problems, `${databaseDump} cannot be restored: ${messageOf(error)}`];
  }
}
