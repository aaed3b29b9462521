import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * A process that is still the same one: a pid alone is reused by the kernel, a pid with its start time and the
 * boot it belongs to is not.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after boot, field 22 of /proc/PID/stat (proc(5)). */
  readonly startTicks: string;
  readonly bootId: string;
}

/** The kernel's id of this boot. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** The identity of a live process, or undefined if there is none with that pid (a zombie counts as gone). */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = readStat(pid);
  return stat && !isZombie(pid, stat) ? { pid, startTicks: stat.startTicks, bootId: bootId() } : undefined;
}

/** True while this very process lives, or still holds something: an open port for one. */
export function isAlive(identity: ProcessIdentity): boolean {
  const stat = readStat(identity.pid);
  return (
    stat !== undefined &&
    stat.startTicks === identity.startTicks &&
    bootId() === identity.bootId &&
    !isZombie(identity.pid, stat)
  );
}

/**
 * A zombie holds nothing any more, but its state is that of its first thread alone: while others still end, so do
 * the files and ports that they share (proc(5): /proc/PID/task).
 */
function isZombie(pid: number, stat: { readonly state: string }): boolean {
  if (stat.state !== 'Z') return false;
  try {
    return readdirSync(`/proc/${pid}/task`).length <= 1;
  } catch {
    return true;
  }
}

function readStat(
  pid: number,
): { state: string; startTicks: string; parent: number; group: number } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The command name stands in parentheses and may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return {
    state: fields[0] ?? '',
    parent: Number(fields[1]),
    group: Number(fields[2]),
    startTicks: fields[19] ?? '',
  };
}

/**
 * Every live process whose environment carries `NAME=VALUE`, ourselves left out. This finds grandchildren that
 * left their process group and their parent, which a recorded pid does not. Processes of other users are not
 * readable for an ordinary user, and not ours to end.
 */
export function findByEnvironment(name: string, value: string): number[] {
  return othersWithEnvironment()
    .filter(({ variables }) => variables.includes(`${name}=${value}`))
    .map(({ pid }) => pid);
}

/** Every value that a variable has in the environment of a live process, ourselves left out. */
export function listEnvironment(name: string): string[] {
  const prefix = `${name}=`;
  return othersWithEnvironment().flatMap(({ variables }) =>
    variables
      .filter((variable) => variable.startsWith(prefix))
      .map((variable) => variable.slice(prefix.length)),
  );
}

/**
 * True if a process was started with `NAME=VALUE` in its environment, or has none that can be looked at: it is on its
 * way out (the kernel took its memory, and may not have closed its files yet), or is being executed just now and has
 * not got its new memory yet. One look, since the next one may see another of these states.
 */
export function mayHaveEnvironment(pid: number, name: string, value: string): boolean {
  const variables = readEnvironment(pid);
  return (
    variables !== undefined &&
    (variables.includes(`${name}=${value}`) || variables.every((one) => one === ''))
  );
}

function othersWithEnvironment(): { pid: number; variables: string[] }[] {
  return readdirSync('/proc').flatMap((entry) => {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    const variables = readEnvironment(pid);
    return variables && identify(pid) ? [{ pid, variables }] : [];
  });
}

/** A process that is being executed has no environment for microseconds: so often it is looked at again. */
const looks = 50;

/** What it was started with; one empty string where it has nothing left, or nothing yet; undefined where we may not look. */
function readEnvironment(pid: number): string[] | undefined {
  try {
    for (let look = 1; ; look += 1) {
      // Bytes as they are: a value need not be UTF-8.
      const text = readFileSync(`/proc/${pid}/environ`, 'utf8');
      if (text !== '' || look === looks || !hasProgram(pid)) return mendNames(text.split('\0'));
    }
  } catch {
    return undefined;
  }
}

/** A bash that starts takes its own environment apart in place: for an instant `NAME=VALUE` is `NAME`, then `VALUE`. */
function mendNames(variables: readonly string[]): string[] {
  const mended: string[] = [];
  for (const variable of variables) {
    const last = mended.at(-1);
    if (last !== undefined && /^\w+$/.test(last)) mended[mended.length - 1] = `${last}=${variable}`;
    else mended.push(variable);
  }
  return mended;
}

/** False for threads of the kernel, and for those on their way out. */
function hasProgram(pid: number): boolean {
  try {
    readlinkSync(`/proc/${pid}/exe`);
    return true;
  } catch {
    return false;
  }
}

/** Live processes of a program that have this folder as their working directory. Those of others cannot be read. */
export function findByPlace({ program, folder }: { program: string; folder: string }): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      try {
        // Of a program that was replaced meanwhile the kernel says "NAME (deleted)".
        const [file = ''] = basename(readlinkSync(`/proc/${pid}/exe`)).split(' ');
        return file === program && workingFolder(pid) === folder && identify(pid) !== undefined;
      } catch {
        return false;
      }
    });
}

/** The folder that a process works in; undefined for one that is gone, or hidden from us. */
export function workingFolder(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

/** The name of its program, for people. */
export function commandName(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return 'gone meanwhile';
  }
}

/** How a process calls itself, or how it was called. */
export function processTitle(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

/** Live children of a process. */
export function findChildren(parent: number): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      if (!Number.isInteger(pid)) return false;
      const stat = readStat(pid);
      return stat?.parent === parent && !isZombie(pid, stat);
    });
}

/** Live members of a process group. */
export function findByGroup(group: number): number[] {
  const found: number[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const stat = readStat(pid);
    if (stat?.group === group && !isZombie(pid, stat)) found.push(pid);
  }
  return found;
}

/** Sends a signal; a process that is gone already is no error. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
