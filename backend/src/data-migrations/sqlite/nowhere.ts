import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

let folder: string | undefined;

/**
 * The address of a database without a table, for files that are only looked at: what opens it at its top level loads,
 * and finds nothing. It goes with this process.
 */
export function nowhere(): string {
  if (folder === undefined) {
    const made = mkdtempSync(path.join(tmpdir(), 'holdfast-nowhere-'));
    process.once('exit', () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  return `file:${path.join(folder, 'empty.db')}`;
}
