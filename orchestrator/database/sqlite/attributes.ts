import { chmodSync, chownSync, closeSync, fsyncSync, openSync, statSync } from 'node:fs';
import type { Runtime } from '../../runtime/runtime.ts';
import { setTime } from '../../tools/touch.ts';
import type { SqliteFacts } from '../database-facts.ts';

/** Whose it is, and who may do what with it; durable. */
export function giveAttributes(path: string, { uid, gid, mode }: SqliteFacts): void {
  const now = statSync(path);
  // Only root gives files away; who owns it already need not.
  if (now.uid !== uid || now.gid !== gid) chownSync(path, uid, gid);
  chmodSync(path, mode);
  const descriptor = openSync(path, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
}

/** SQLite makes and removes files beside the database, and so do we: the time of their folder stays what it was. */
export async function keepingTime<T>(runtime: Runtime, folder: string, work: () => Promise<T>): Promise<T> {
  const timeOf = () => statSync(folder, { bigint: true, throwIfNoEntry: false })?.mtimeNs;
  const before = timeOf();
  try {
    return await work();
  } finally {
    const after = timeOf();
    if (before !== undefined && after !== undefined && before !== after)
      await runtime.run(setTime(folder, before), { allowFailure: true });
  }
}
