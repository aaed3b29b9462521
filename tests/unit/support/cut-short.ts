import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/*
 * What a kill leaves behind: the file system after the first `count` changes of a piece of work, and none of the
 * later ones. The real functions do the changes; past the count nothing gets through any more, so that clean-up
 * in a `finally`, which a kill does not run, changes nothing either.
 */

const changing = [
  'renameSync',
  'mkdirSync',
  'rmdirSync',
  'rmSync',
  'writeSync',
  'ftruncateSync',
  'linkSync',
  'symlinkSync',
  'unlinkSync',
  'chmodSync',
] as const;

class CutShort extends Error {}

/** Does the first `count` changes of `work`. Resolves to false if the work came to its end before. */
export async function cutShort(count: number, work: () => void | Promise<void>): Promise<boolean> {
  const real = new Map(changing.map((name) => [name, fs[name]]));
  let left = count;
  for (const [name, original] of real) {
    Object.assign(fs, {
      [name]: (...args: unknown[]) => {
        if (left === 0) throw new CutShort(`killed before ${name}`);
        left -= 1;
        return (original as (...args: unknown[]) => unknown)(...args);
      },
    });
  }
  syncBuiltinESMExports();
  try {
    await work();
    return false;
  } catch (error) {
    if (error instanceof CutShort || (error instanceof Error && error.cause instanceof CutShort)) return true;
    throw error;
  } finally {
    Object.assign(fs, Object.fromEntries(real));
    syncBuiltinESMExports();
  }
}
