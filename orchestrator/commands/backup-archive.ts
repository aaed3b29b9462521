import type { Appliance } from '../appliance/appliance.ts';
import { exitCodes } from '../lib/errors.ts';
import { formatBytes } from '../lib/units.ts';
import { findMissingProducts } from '../snapshot/products.ts';
import { chooseByNameOrLatest } from '../snapshot/choose.ts';
import { exportSnapshot } from '../snapshot/export.ts';
import { importSnapshot } from '../snapshot/import.ts';
import type { Manifest } from '../snapshot/manifest.ts';
import { pinCommit } from '../snapshot/retention.ts';
import { listSnapshots } from '../snapshot/store.ts';
import { resolveRevision } from '../tools/git-facts.ts';
import { locked } from './locked.ts';
import type { Session } from './session.ts';

const secretsInside =
  'It holds everything that the appliance holds, secrets (.env) and data included, and is not encrypted: keep it as you keep those.';

/** Writes a snapshot as one archive. Looks only, and takes no lock. */
export async function exportOne(
  session: Session,
  name: string,
  file: string,
  options: { overwrite?: boolean },
): Promise<number> {
  const appliance = session.open();
  const listings = listSnapshots(appliance.backupsDirectory);
  const { id } = chooseByNameOrLatest({ listings, commit: '', committed: () => undefined }, name);
  session.ui.say(`Checking and packing snapshot ${id} ...`);
  const written = await exportSnapshot(appliance, id, file, { overwrite: options.overwrite === true });
  session.ui.result(
    { type: 'result', ok: true, exitCode: 0, snapshot: id, ...written },
    `Exported ${id} to ${written.file} (${formatBytes(written.sizeBytes)}, mode 0600), read back and compared.\n  ${secretsInside}\n  There: ./run.sh backup import FILE`,
  );
  return exitCodes.ok;
}

/** Brings the snapshot of an archive in. */
export async function importOne(
  session: Session,
  file: string,
  options: { otherAppliance?: boolean },
): Promise<number> {
  return await locked(session, 'import', async ({ appliance }) => {
    session.ui.say(`Reading and checking ${file} ...`);
    const { manifest, folder, wasHere } = await importSnapshot(appliance, file, {
      otherAppliance: options.otherAppliance === true,
    });
    const { id, label } = manifest;
    const notes = wasHere ? [] : await describeUse(appliance, manifest);
    session.ui.result(
      { type: 'result', ok: true, exitCode: 0, snapshot: id, folder, wasHere, notes },
      wasHere
        ? `The snapshot ${id} is here already, and is the very same. Nothing was changed.`
        : [
            `Imported ${id} (${label}). It stays until you remove it.`,
            ...notes.map((note) => `  ${note}`),
            `  Next: ./run.sh rollback ${id}   or   ./run.sh backup verify ${id} --deep`,
          ].join('\n'),
    );
    return exitCodes.ok;
  });
}

/** What a rollback to it can do on this machine; pins its commit where it is known. */
async function describeUse(appliance: Appliance, manifest: Manifest): Promise<string[]> {
  const { runtime, directory } = appliance;
  const notes: string[] = [];
  const known = await resolveRevision(runtime, directory, manifest.commit);
  if (known === undefined)
    notes.push(
      `Its commit ${manifest.commit.slice(0, 12)} is not in this checkout yet: git fetch, before a rollback.`,
    );
  else await pinCommit(appliance, manifest.id, manifest.commit);
  const missing = findMissingProducts(appliance)(manifest);
  if (missing.length > 0)
    notes.push(`Its ${missing.join(', ')} are not in an archive: a rollback to it needs --rebuild.`);
  return notes;
}
