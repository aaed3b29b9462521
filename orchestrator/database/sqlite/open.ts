import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';

/** How long a lock of somebody else's is waited for. */
const busyMs = 10_000;

/** Opens what others may use meanwhile. Not read-only: that would leave the files of a write-ahead log behind. */
export function openLive(file: string, busyTimeoutMs = busyMs): DatabaseSync {
  // It would be made otherwise.
  statSync(file);
  return new DatabaseSync(file, { timeout: busyTimeoutMs });
}

/** Opens what nobody writes: no lock is taken, and nothing is made beside it. */
export function openSealed(file: string): DatabaseSync {
  const url = pathToFileURL(file);
  url.searchParams.set('immutable', '1');
  return new DatabaseSync(url, { readOnly: true });
}
