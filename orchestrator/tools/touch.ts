import type { Command } from '../runtime/runtime.ts';

/** Sets the modification time of a path to the nanosecond, which Node's own functions round. */
export const setTime = (path: string, mtimeNs: bigint): Command => {
  const seconds = mtimeNs / 1_000_000_000n - (mtimeNs % 1_000_000_000n < 0n ? 1n : 0n);
  const rest = String(mtimeNs - seconds * 1_000_000_000n).padStart(9, '0');
  return {
    file: 'touch',
    args: ['--no-create', '--time=modify', `--date=@${seconds}.${rest}`, '--', path],
    label: 'touch',
  };
};
