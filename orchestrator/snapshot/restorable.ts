import { closeSync, lstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { hasCode, Refusal } from '../lib/errors.ts';
import { displayPath, under } from '../lib/raw-path.ts';
import { shellWord } from '../lib/shell-word.ts';
import { listAttributes, parseAttributes } from '../tools/tar.ts';
import { nameList } from './files.ts';
import { scan, type Entry, type Root } from './inventory.ts';
import { describeRoots, workFolder } from './roots.ts';

/** What the kernel takes as a path, without the zero byte that ends it. */
const longestPath = 4095;

/**
 * Proves that the files could be brought back, before anything is touched: all of them can be read, each lies where a
 * rename reaches it, and this user may give them what they have.
 *
 * @throws Refusal with the first that cannot, and the fix
 */
export async function verifyRestorable(appliance: Appliance): Promise<void> {
  for (const { name, root } of describeRoots(appliance, appliance.config)) {
    const there = lstatSync(root.path, { throwIfNoEntry: false });
    if (!there) continue;
    if (!there.isDirectory())
      throw new Refusal(
        `cannot go on: the data path ${root.path} is not a folder, and only folders are backed up`,
        'name the folder that it lies in (with what shall be left out under "exclude"), or move it into the checkout',
      );
    const entries = look(root);
    verifyPlaces(appliance, name, root, entries);
    if (process.geteuid?.() !== 0) await verifyRights(appliance, root, entries);
  }
}

function look(root: Root): Entry[] {
  try {
    return scan(root);
  } catch (error) {
    const path = shorten((error as NodeJS.ErrnoException).path ?? root.path);
    if (hasCode(error, 'EACCES', 'EPERM'))
      throw new Refusal(
        `cannot go on: the folder ${path} is closed to this user, and cannot be backed up`,
        `chmod u+rx it, run this as a user who may, or list it under "exclude"`,
        error,
      );
    if (hasCode(error, 'ENAMETOOLONG')) throw tooLong(path);
    throw error;
  }
}

const shorten = (path: string) => (path.length <= 120 ? path : `${path.slice(0, 60)}...${path.slice(-40)}`);

const tooLong = (path: string) =>
  new Refusal(
    `cannot go on: the path ${shorten(path)} is too long to be moved aside (${longestPath} bytes at most, with the folder that it goes to)`,
    'move what lies so deep, or list it under "exclude"',
  );

/** A restore renames: what is moved aside has a longer path then, and stays on its file system. */
function verifyPlaces(appliance: Appliance, name: string, root: Root, entries: readonly Entry[]): void {
  const run = '20261120-155009-99';
  const aside = [
    join(appliance.state.run(run), 'failed', `${name}~99`),
    join(workFolder(root.path, run), 'failed~99'),
  ];
  const room = longestPath - Math.max(...aside.map((path) => Buffer.byteLength(path))) - 1;
  const device = entries[0]?.device;
  for (const entry of entries) {
    if (entry.path.length > room) throw tooLong(under(root.path, entry.path).toString('utf8'));
    if (entry.device !== device)
      throw new Refusal(
        `cannot go on: ${under(root.path, entry.path).toString('utf8')} is a file system of its own inside ${root.path}, and no rename leads out of it`,
        'name it under "data", or list it under "exclude"',
      );
  }
}

/** Only root gives files to others, and capabilities to programs. */
async function verifyRights(appliance: Appliance, root: Root, entries: readonly Entry[]): Promise<void> {
  const groups = new Set([process.getegid?.(), ...(process.getgroups?.() ?? [])]);
  const fix = 'run this as root or as the owner, or list it under "exclude"';
  for (const entry of entries) {
    const path = under(root.path, entry.path);
    const shown = shorten(`${root.path}/${displayPath(entry.path)}`);
    if (entry.uid === process.geteuid?.() && !groups.has(entry.gid))
      throw new Refusal(
        `cannot go on: ${shown} belongs to ${entry.uid}:${entry.gid}, and this user is not in that group and could not give it back to it`,
        `sudo chgrp ${process.getegid?.()} ${shellWord(`${root.path}/${displayPath(entry.path)}`)}, or list it under "exclude"`,
      );
    if (entry.uid !== process.geteuid?.())
      throw new Refusal(
        `cannot go on: ${shown} belongs to ${entry.uid}:${entry.gid}, and this user could not bring it back as such`,
        fix,
      );
    if (entry.type === 'file' && isClosed(path))
      throw new Refusal(`cannot go on: ${shown} is closed to this user, and cannot be backed up`, fix);
  }
  const { stdout, stderr, exitCode } = await appliance.runtime.run(
    listAttributes({ root: root.path, entries: nameList(entries) }),
    { allowFailure: true },
  );
  const complaints = stderr.split('\n').filter((line) => line !== '' && !aboutVanished.test(line));
  if (exitCode > 1 && complaints.length > 0)
    throw new Error(`tar could not look at ${root.path}: ${complaints.slice(0, 3).join('; ')}`);
  for (const [path, names] of parseAttributes(stdout)) {
    const given = names.find((attribute) => attribute === 'security.capability');
    if (given !== undefined)
      throw new Refusal(
        `cannot go on: ${root.path}/${displayPath(path)} has capabilities, and this user could not bring it back as such`,
        fix,
      );
  }
}

/** What tar says of a file that came and went while it looked: a log that was rotated is no reason to refuse anything. */
const aboutVanished =
  /: No such file or directory$|: File removed before we read it$|^tar: Exiting with failure/;

function isClosed(path: Buffer): boolean {
  try {
    closeSync(openSync(path, 'r'));
    return false;
  } catch (error) {
    return hasCode(error, 'EACCES', 'EPERM');
  }
}
