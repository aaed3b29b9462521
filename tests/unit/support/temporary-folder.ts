import { chmodSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';

const made: string[] = [];

/** A folder that is removed after the test, whatever its modes have become. Its path holds a space, as paths may. */
export function temporaryFolder(): string {
  return temporaryIn(tmpdir());
}

/** The same in memory where that can be had: what is done a hundred times over waits for a disk at every fsync. */
export function folderInMemory(): string {
  try {
    return temporaryIn('/dev/shm');
  } catch {
    return temporaryFolder();
  }
}

/** One for all tests of a file, which removes it itself (`removeAll`). */
export function folderForAll(): string {
  try {
    return mkdtempSync('/dev/shm/hold fast-');
  } catch {
    return mkdtempSync(join(tmpdir(), 'hold fast-'));
  }
}

function temporaryIn(place: string): string {
  const folder = mkdtempSync(join(place, 'hold fast-'));
  made.push(folder);
  return folder;
}

/** Removes a folder, closed ones in it too. */
export function removeAll(folder: string): void {
  openUp(Buffer.from(folder));
  rmSync(folder, { recursive: true, force: true });
}

/** An ordinary user cannot remove what lies in a folder that is closed to him. */
function openUp(path: Buffer): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory() !== true) return;
  if ((stat.mode & 0o700) !== 0o700) chmodSync(path, 0o700);
  for (const name of readdirSync(path, { encoding: 'buffer' }))
    openUp(Buffer.concat([path, Buffer.from('/'), name]));
}

afterEach(() => {
  for (const folder of made.splice(0)) removeAll(folder);
});
