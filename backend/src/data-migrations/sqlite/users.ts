import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** In the environment of a migration's process, and of what that starts: the file that it works on. */
export const MARK = 'HOLDFAST_DATA_MIGRATION';

/** A process that has a file open. */
export interface User {
  readonly pid: number;
  readonly command: string;
}

/** Who else has a database open, as far as this user may see: others' processes show their files to root only. */
export function usersOf(file: string): User[] {
  const names = new Set([file, `${file}-wal`, `${file}-shm`, `${file}-journal`]);
  // The runner and the process of its migration know of each other.
  const own = new Set([process.pid, ...(process.env[MARK] === undefined ? [] : [process.ppid])]);
  return processes().flatMap((pid) => {
    if (own.has(pid) || !hasOpen(pid, names)) return [];
    const [program = '', ...args] = read(`/proc/${pid}/cmdline`).split('\0').filter(Boolean);
    return [{ pid, command: [path.basename(program), ...args].join(' ').slice(0, 160) }];
  });
}

/** For the end of a sentence that says that it is locked. */
export function describeUsers(file: string): string {
  const users = usersOf(file).map(({ pid, command }) => `${command} (pid ${pid})`);
  return users.length === 0
    ? 'somebody else holds it. See who: fuser -v ' + JSON.stringify(file)
    : `${users.join(', ')} ${users.length === 1 ? 'has' : 'have'} it open. Stop ${users.length === 1 ? 'it' : 'them'}, or wait, then try again`;
}

/**
 * Ends what migrations have left at work on a database: the process of one whose runner was killed finishes its statement
 * before it notices.
 */
export async function endLeftovers(file: string): Promise<void> {
  const mark = `\0${MARK}=${file}\0`;
  for (let round = 0; round < 500; round += 1) {
    const left = usersOf(file).filter(({ pid }) => `\0${read(`/proc/${pid}/environ`)}\0`.includes(mark));
    if (left.length === 0) return;
    for (const { pid } of left) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself.
      }
    }
    await sleep(20);
  }
}

/** The file itself, whatever link leads to it: everybody must mean the same lock. */
export function realFile(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

function processes(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

function hasOpen(pid: number, names: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return names.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
