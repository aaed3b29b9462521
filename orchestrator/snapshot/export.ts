import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { fsyncDirectory, fsyncFile } from '../lib/atomic-file.ts';
import { hasCode, messageOf, Refusal, UsageError } from '../lib/errors.ts';
import { packSnapshot } from '../tools/tar.ts';
import { readArchive } from './archive-reader.ts';
import { checksumFile, holdsDump, manifestFile } from './manifest.ts';
import { verifySnapshot } from './store.ts';

/** The name of an archive that is being written: whatever has it is worth nothing. */
const unfinished = (file: string, pid: number | '*') => `${file}.unfinished-${pid}`;

/**
 * Writes a snapshot as one archive. The snapshot is verified before, the archive after; only then does it get its
 * name, 0600, durable. Killed, it leaves a file that says by its name that it is unfinished; the next export to the
 * same name removes it.
 *
 * @throws Refusal if the file exists, the snapshot is damaged, or the disk is full; nothing is left then
 */
export async function exportSnapshot(
  { runtime, backupsDirectory }: Pick<Appliance, 'runtime' | 'backupsDirectory'>,
  id: string,
  target: string,
  options: { overwrite: boolean },
): Promise<{ file: string; sizeBytes: number }> {
  const file = resolve(target);
  const folder = join(backupsDirectory, id);
  verifyTarget(file, folder, options.overwrite);
  const manifest = await verifySnapshot(folder);
  if (manifest.volume !== undefined && !holdsDump(manifest))
    throw new Refusal(
      `cannot export ${id}: there is no dump of its database yet, only the volume ${manifest.volume}`,
      './run.sh backup create makes a new one, which can be exported',
    );
  removeUnfinished(file);
  const temporary = unfinished(file, process.pid);
  try {
    // Made here, since tar would make it as readable as the umask lets it.
    closeSync(openSync(temporary, 'w', 0o600));
    chmodSync(temporary, 0o600);
    const names = [manifestFile, checksumFile, ...manifest.parts.map(({ name }) => name)];
    await runtime.run(packSnapshot({ archive: temporary, parent: backupsDirectory, id, names }));
    await readArchive(temporary, () => undefined);
    fsyncFile(temporary);
    putInPlace(temporary, file, options.overwrite);
    return { file, sizeBytes: statSync(file).size };
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(
      `cannot export ${id} to ${file}: ${messageOf(error)}`,
      'name a file on another disk, or free some room',
      error,
    );
  } finally {
    rmSync(temporary, { force: true });
  }
}

function verifyTarget(file: string, folder: string, overwrite: boolean): void {
  const there = lstatSync(file, { throwIfNoEntry: false });
  if (there?.isDirectory())
    throw new UsageError(
      `cannot export to ${file}: it is a folder`,
      `name a file in it: ${join(file, `${basename(folder)}.tar.zst`)}`,
    );
  if (!existsSync(dirname(file)))
    throw new UsageError(`cannot export to ${file}: there is no folder ${dirname(file)}`);
  if (!relative(folder, file).startsWith('..'))
    throw new UsageError(`cannot export to ${file}: that is the folder of the snapshot itself`);
  if (there && !overwrite) throw taken(file);
}

/** Where hard links are to be had, nobody who made the file meanwhile loses it: a link does not replace. */
function putInPlace(temporary: string, file: string, overwrite: boolean): void {
  try {
    if (overwrite) renameSync(temporary, file);
    else linkSync(temporary, file);
  } catch (error) {
    if (hasCode(error, 'EEXIST')) throw taken(file);
    if (!hasCode(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK') || existsSync(file)) throw error;
    renameSync(temporary, file);
  }
  fsyncDirectory(dirname(file));
}

function taken(file: string): Refusal {
  return new Refusal(`cannot export to ${file}: it exists already`, 'name another file, or say --overwrite');
}

/** What exports to this name left behind that were killed. */
function removeUnfinished(file: string): void {
  const beginning = basename(unfinished(file, '*')).slice(0, -1);
  for (const name of readdirSync(dirname(file))) {
    const pid = name.startsWith(beginning) ? Number(name.slice(beginning.length)) : Number.NaN;
    if (Number.isInteger(pid) && !existsSync(`/proc/${pid}`))
      rmSync(join(dirname(file), name), { force: true });
  }
}
