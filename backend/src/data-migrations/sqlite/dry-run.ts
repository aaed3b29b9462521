import { constants, existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, rm, rmdir, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { backup } from 'node:sqlite';
import type { Done, Job } from '../protocol.ts';
import { compare } from './compare.ts';
import { openFile, whenFree } from './connection.ts';
import { makeTables } from './store.ts';

/** So much of a disk stays free for others, in bytes. */
const RESERVE_BYTES = 64 * 1024 * 1024;
const PAGES_AT_ONCE = 2 ** 30;

/**
 * Has a migration run on a copy of the file, and says what it changed there. Nothing can be committed to the file itself,
 * since the migration is not told of it; so everything may be tried: DDL, `down`, scripts with a client of their own.
 *
 * @throws Error when there is no space for two copies
 */
export async function tryOnCopy(file: string, job: Job, run: (job: Job) => Promise<Done>): Promise<Done> {
  // One name beside the database, whoever tries: what makes backups of the folder can leave it out.
  const copies = `${file}-holdfast-dry-run`;
  await removeLeftovers(copies);
  await verifySpace(file);
  const folder = path.join(copies, String(process.pid));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    const [before, after] = [path.join(folder, 'before.db'), path.join(folder, path.basename(file))];
    const live = await whenFree(file, () => openFile(file));
    try {
      const version = (): unknown => live.prepare('PRAGMA data_version').get()?.['data_version'];
      // All pages at once: row by row as they are, with the numbers that rows without a key have.
      await whenFree(file, async () => await backup(live, before, { rate: PAGES_AT_ONCE }));
      await copyFile(before, after, constants.COPYFILE_FICLONE);
      const copy = openFile(after);
      makeTables(copy);
      copy.close();
      const startedAs = version();
      const done = await run({ ...job, url: `file:${after}`, copyOf: job.url });
      const { changes, warnings } = compare(before, after);
      // By somebody at work, or by a script that does not go by its DATABASE_URL.
      if (version() !== startedAs)
        warnings.push(
          "the database itself was written meanwhile: by a service, or by a client of the migration's that does not go by DATABASE_URL",
        );
      return { ...done, changes, warnings: [...(done.warnings ?? []), ...warnings] };
    } finally {
      live.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
    await removeIfEmpty(copies);
  }
}

/** Of dry runs that were killed. */
async function removeLeftovers(copies: string): Promise<void> {
  if (!existsSync(copies)) return;
  for (const name of await readdir(copies))
    if (!isAlive(Number(name))) await rm(path.join(copies, name), { recursive: true, force: true });
}

/** Somebody else may be trying something there. */
async function removeIfEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOENT') throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function verifySpace(file: string): Promise<void> {
  const { size } = await stat(file);
  const { bavail, bsize } = await statfs(path.dirname(file));
  const needed = 2 * size + RESERVE_BYTES;
  if (bavail * bsize >= needed) return;
  const inMb = (bytes: number): number => Math.ceil(bytes / 1024 / 1024);
  throw new Error(
    `a dry run needs two copies of the database, ${inMb(needed)} MB, and ${path.dirname(file)} has ${inMb(bavail * bsize)} MB left`,
  );
}
