import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { commandName, findByEnvironment, processTitle } from '../../lib/processes.ts';
import { companionsOf } from './places.ts';

/** A process that has a database open. */
export interface Holder {
  readonly pid: number;
  /** What it was called by, or its program's name where that is hidden from us. */
  readonly title: string;
}

/**
 * Who has a database open, ourselves left out: by the files that processes have open, and for those of other users, whose
 * open files are hidden from us, by the locks that they hold (a program that keeps a write-ahead log always holds one).
 * Compared by inode: a container knows the same file by another path.
 */
export function findHolders(file: string): Holder[] {
  const files = new Set<string>();
  const locked = new Set<string>();
  for (const path of [file, ...companionsOf(file)]) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) continue;
    files.add(`${stat.dev}:${stat.ino}`);
    locked.add(`${deviceOf(stat.dev)}:${stat.ino}`);
  }
  const name = basename(file);
  const pids = new Set<number>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (Number.isInteger(pid) && pid !== process.pid && hasOpen(pid, name, files)) pids.add(pid);
  }
  for (const line of readLocks()) {
    // "3: POSIX  ADVISORY  READ 26813 fe:00:2384984 1073741826 1073742335" (proc(5)); waiters have an arrow.
    const match = /^\d+: (?:-> )?\S+\s+\S+\s+\S+\s+(\d+)\s+([0-9a-f]+:[0-9a-f]+:\d+) /.exec(line);
    const pid = Number(match?.[1]);
    if (pid > 0 && pid !== process.pid && locked.has(match?.[2] ?? '')) pids.add(pid);
  }
  return [...pids].map((pid) => ({ pid, title: processTitle(pid) || commandName(pid) }));
}

function hasOpen(pid: number, name: string, files: ReadonlySet<string>): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((descriptor) => {
      const path = join(folder, descriptor);
      try {
        // Asking each file what it is would wait for those on a dead network share.
        if (!basename(readlinkSync(path)).startsWith(name)) return false;
        const { dev, ino } = statSync(path);
        return files.has(`${dev}:${ino}`);
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}

/** A device as the kernel writes it in /proc/locks: both numbers in hexadecimal, two digits at least (makedev(3)). */
function deviceOf(dev: number): string {
  const hex = (value: number) => value.toString(16).padStart(2, '0');
  return `${hex((dev >>> 8) & 0xfff)}:${hex((dev & 0xff) | ((dev >>> 12) & 0xf_ff00))}`;
}

function readLocks(): string[] {
  try {
    return readFileSync('/proc/locks', 'utf8').split('\n');
  } catch {
    return [];
  }
}

/** Holders that are none of these: not started as services from this folder, and not by this run. */
export function findStrangers(file: string, servicesFolder: string, services: readonly string[]): Holder[] {
  const ours = new Set(
    services.flatMap((name) => findByEnvironment('HOLDFAST_SERVICE', `${servicesFolder}/${name}`)),
  );
  return findHolders(file).filter(({ pid }) => !ours.has(pid));
}

export const describeHolders = (holders: readonly Holder[]): string =>
  holders.map(({ pid, title }) => `process ${pid} (${title.slice(0, 100)})`).join(', ');
