import { chmodSync, lchownSync, lstatSync, readdirSync } from 'node:fs';

/**
 * Lets the user of the services write what root has made for them: a data root, or the file of a database, that belongs to
 * root, with what belongs to root below it. Everything else keeps its owner. Only root can, and needs to: for anybody else
 * services run as himself. May be run twice.
 */
export function giveToServices(paths: readonly string[], uid: number): void {
  if (process.getuid?.() !== 0) return;
  for (const path of paths)
    if (lstatSync(path, { throwIfNoEntry: false })?.uid === 0) giveTree(Buffer.from(path), uid);
}

/** What lies below goes first: where this was killed, it begins anew. Names are bytes, not text. */
function giveTree(path: Buffer, uid: number): void {
  const stat = lstatSync(path);
  if (stat.isDirectory())
    for (const name of readdirSync(path, { encoding: 'buffer' }))
      giveTree(Buffer.concat([path, Buffer.from('/'), name]), uid);
  if (stat.uid !== 0) return;
  lchownSync(path, uid, stat.gid === 0 ? uid : stat.gid);
  // The kernel takes setuid and setgid away with the owner.
  if (!stat.isSymbolicLink() && (stat.mode & 0o6000) !== 0) chmodSync(path, stat.mode & 0o7777);
}
