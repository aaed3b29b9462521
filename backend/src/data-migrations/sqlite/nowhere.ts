import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

let file: string | undefined;

/**
 * The address of a database without a table, for files that are only looked at: what opens it at its top level loads,
 * and finds nothing. It is made by whoever opens it, and goes with this process.
 */
export function nowhere(): string {
  if (file === undefined) {
    const made = path.join(tmpdir(), `holdfast-nowhere-${randomUUID()}.db`);
    process.once('exit', () => {
      for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(`${made}${suffix}`, { force: true });
    });
    file = made;
  }
  return `file:${file}`;
}
