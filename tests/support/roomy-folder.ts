import { chmodSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execaSync } from 'execa';

/*
 * ext4 without a journal, the disk of many a virtual machine, gives out the number of a file that was removed again
 * only after minutes, and goes through all of those each time: 1000 new files cost 0.35 s of system time. The
 * attribute `T` (chattr(1)) has it put every folder in a folder into a part of the disk of its own: 0.05 s.
 */

/** A folder for what tests make and remove by the thousand files, in the one for temporary files. */
export function roomyFolder(): string {
  const folder = join(tmpdir(), `holdfast-${process.getuid?.() ?? 0}`);
  mkdirSync(folder, { recursive: true });
  // A database server goes through it as another user.
  chmodSync(folder, 0o755);
  spreadFolders(folder);
  return folder;
}

/** Has the folders that are made in this one lie far apart. Other file systems have no such attribute, nor need it. */
export function spreadFolders(folder: string): void {
  execaSync('chattr', ['+T', folder], { reject: false });
}
