import {
  access,
  constants,
  open,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  type FileHandle,
} from 'node:fs/promises';
import path from 'node:path';
import { describeError, EXIT, Refusal } from './refusal.ts';
import { formatRegistry, parseRegistry, type Registry } from './registry.ts';

/**
 * Reads the registry; undefined when there is no file (a new appliance, or one that lost it).
 *
 * @throws Refusal with exit 2 when it cannot be read or understood.
 */
export async function readRegistry(file: string): Promise<Registry | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new Refusal(
      EXIT.refused,
      `cannot read the registry ${file}: ${isFolder(error) ? 'it is a folder, not a file. Move it away' : `${describeError(error)}. Check who may read it`}`,
      { cause: error },
    );
  }
  return parseRegistry(text, file);
}

/**
 * Makes sure that an outcome can be recorded, before there is one.
 *
 * @throws Refusal with exit 2.
 */
export async function verifyRegistryWritable(file: string): Promise<void> {
  const folder = path.dirname(await followLinks(file));
  try {
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new Refusal(
      EXIT.refused,
      `cannot run the data migrations: the folder ${folder} is not writable. Run as the user who owns it`,
      { cause: error },
    );
  }
}

/**
 * Replaces the registry whole: written beside, flushed, renamed, the folder flushed. After a power cut there is the old
 * one or the new one, never half of either. Mode and owner stay; a symbolic link goes on pointing at the file.
 */
export async function writeRegistry(file: string, registry: Registry): Promise<void> {
  const target = await followLinks(file);
  const beside = `${target}.${process.pid}.tmp`;
  const handle = await open(beside, 'w', 0o644);
  try {
    await copyAttributes(target, handle);
    await handle.writeFile(formatRegistry(registry));
    await handle.sync();
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  await rename(beside, target);
  await syncFolder(path.dirname(target));
}

/** Where a path leads, even where there is no file yet: a link into a volume that is still empty stays a link. */
async function followLinks(file: string, depth = 0): Promise<string> {
  const to = await readlink(file).catch(() => undefined);
  if (to === undefined || depth > 40) return await realpath(file).catch(() => file);
  return await followLinks(path.resolve(path.dirname(file), to), depth + 1);
}

async function copyAttributes(from: string, to: FileHandle): Promise<void> {
  try {
    const { mode, uid, gid } = await stat(from);
    await to.chmod(mode & 0o7777);
    if (process.getuid?.() === 0) await to.chown(uid, gid);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function isFolder(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EISDIR';
}
