import {
  chmodSync,
  chownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execaSync } from 'execa';

/** A tracked file whose name is not ASCII. */
export const nonAsciiDocument = 'docs/größe.txt';

/** What git tracks of the ledger beyond plain files: names, links, modes. */
export function writeTrackedOddities(folder: string): void {
  writeFileSync(join(folder, nonAsciiDocument), 'eins\n');
  symlinkSync('größe.txt', join(folder, 'docs/link'));
  chmodSync(join(folder, 'scripts/with a space.sh'), 0o755);
}

/**
 * What an appliance in use holds beside its code: a secret, uploads, and everything that a careless restore loses:
 * modes, owners, times, links, empty folders, odd names, holes, extended attributes, ACLs.
 */
export function writeData(folder: string): void {
  const at = (path: string) => join(folder, path);
  const write = (path: string, text: string, mode = 0o644) => {
    writeFileSync(at(path), text);
    chmodSync(at(path), mode);
  };
  for (const path of ['data/uploads/2024', 'data/empty', 'data/closed', 'data/cache'])
    mkdirSync(at(path), { recursive: true });
  write('.env', 'LEDGER_SECRET=correct-horse-battery\n', 0o600);
  write('note of the operator.txt', 'untracked, not ignored\n');
  write('data/uploads/photo.bin', 'photo '.repeat(4000));
  write('data/uploads/2024/ein Übertrag – März.txt', 'x\n', 0o640);
  const latin = Buffer.from('/latin-\xe9.txt', 'latin1');
  writeFileSync(Buffer.concat([Buffer.from(at('data/uploads')), latin]), 'a name that is not UTF-8\n');
  write('data/two\nlines', 'a name with a newline\n');
  write('data/key.pem', 'secret key\n', 0o600);
  write('data/tool', '#!/bin/sh\n', 0o4755);
  write('data/closed/inside', 'in a closed folder\n', 0o400);
  write('data/holes.img', '');
  truncateSync(at('data/holes.img'), 4 << 20);
  write('data/cache/thumb', 'excluded from the snapshot\n');
  linkSync(at('data/uploads/photo.bin'), at('data/uploads/same-photo.bin'));
  symlinkSync('photo.bin', at('data/uploads/latest'));
  symlinkSync('/nowhere/at all', at('data/dangling'));
  setAttributes(folder);
  chmodSync(at('data/closed'), 0o700);
  chmodSync(at('data/empty'), 0o2770);
  lutimesSync(at('data/dangling'), 1_500_000_001, 1_500_000_002);
  for (const path of ['data/uploads/photo.bin', 'data/key.pem', 'data/empty', 'data/uploads'])
    utimesSync(at(path), 1_600_000_000.123456, 1_600_000_000.123456);
}

/** As far as this machine and this user can: another owner needs root, attributes and ACLs their programs. */
function setAttributes(folder: string): void {
  const at = (path: string) => join(folder, path);
  execaSync('setfattr', ['-n', 'user.origin', '-v', 'camera', at('data/uploads/photo.bin')], {
    reject: false,
  });
  execaSync('setfacl', ['-m', 'u:12345:r', at('data/uploads/2024/ein Übertrag – März.txt')], {
    reject: false,
  });
  if (process.getuid?.() === 0) chownSync(at('data/key.pem'), 12_345, 54_321);
}
