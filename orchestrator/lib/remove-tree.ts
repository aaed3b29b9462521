import { rmSync } from 'node:fs';

/** Removes a folder with all that is in it. One that is not there is no error. */
export function removeTree(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 3 });
}
