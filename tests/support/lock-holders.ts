import { readFileSync, statSync } from 'node:fs';

/** Processes that hold a lock on this file. */
export function holdersOf(file: string): number[] {
  const { ino } = statSync(file);
  return readFileSync('/proc/locks', 'utf8')
    .split('\n')
    .filter((line) => line.includes(`:${ino} `))
    .map((line) => Number(line.trim().split(/\s+/)[4]));
}
