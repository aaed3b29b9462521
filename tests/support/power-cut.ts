import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import type { Event } from '../../orchestrator/pipeline/events.ts';
import { localRuntime } from '../../orchestrator/runtime/local.ts';
import type { Runtime } from '../../orchestrator/runtime/runtime.ts';
import { findProcessesOf } from './sandbox.ts';
import type { SmallDisk } from './small-disk.ts';

/** An instant of a run, and what the disk would have held if the power had gone then. */
export interface Cut {
  readonly when: string;
  readonly image: string;
}

export interface CutOptions {
  /** Instants that are wanted in any case, the first of each. */
  readonly always: readonly RegExp[];
  /** How many random ones, and by which seed they are chosen. */
  readonly random?: number;
  readonly seed?: number;
  /** Whether `sync` does what it says. A test of barriers must be able to fail. */
  readonly barriers?: boolean;
}

/** A run has about so many instants: its records, and before and after each of its commands. */
const usualInstants = 230;

/**
 * Copies the image of a disk while a run is at work on it: at records of its journal, before and after its commands,
 * and within them. Nothing is told to write anything out for it. While a copy is made everything on the disk stands
 * still, so that it is one instant.
 */
export class PowerCuts {
  readonly #cuts: Cut[] = [];
  readonly #disk: SmallDisk;
  readonly #random: () => number;
  readonly #options: Required<CutOptions>;
  readonly #awaited: Set<RegExp>;
  #seen = 0;
  #current: string | undefined;

  constructor(disk: SmallDisk, options: CutOptions) {
    this.#disk = disk;
    this.#options = { random: 0, seed: 1, barriers: true, ...options };
    this.#awaited = new Set(options.always);
    this.#random = generator(this.#options.seed);
  }

  readonly listen = (event: Event): void => {
    if (event.type === 'step') this.#at(`${event.step}, ${event.half} ${event.state}`);
    else if (event.type === 'restore') this.#at(`restore: ${event.phase} ${event.state}`);
    else if (event.type === 'output') this.#at(`output: ${event.line}`);
  };

  readonly runtime: Runtime = {
    ...localRuntime,
    run: async (command, options) => {
      const program = basename(command.file);
      const name = command.label ?? program;
      this.#at(`before ${name}`);
      this.#current = name;
      const result =
        program === 'sync' && !this.#options.barriers
          ? { exitCode: 0, stdout: '', stderr: '' }
          : await localRuntime.run(command, options);
      this.#current = undefined;
      this.#at(`after ${name}`);
      return result;
    },
    startService: async (service) => {
      this.#at(`before start ${service.name}`);
      await localRuntime.startService(service);
    },
  };

  /** Does a run's work, and strikes within its commands as well. Resolves to the copies, in their order. */
  async during(work: () => Promise<void>): Promise<Cut[]> {
    const timer = setInterval(() => {
      if (this.#current !== undefined) this.#at(`within ${this.#current}`);
    }, 100);
    try {
      await work();
    } finally {
      clearInterval(timer);
    }
    if (this.#awaited.size > 0) throw new Error(`never: ${[...this.#awaited].join(', ')}`);
    return this.#cuts;
  }

  #at(when: string): void {
    this.#seen += 1;
    if (!this.#isWanted(when)) return;
    const image = this.#disk.copyPath(`cut-${this.#seen}`);
    const others = processesOn(this.#disk.mountPoint);
    for (const pid of others) signal(pid, 'SIGSTOP');
    try {
      if (this.#disk.copyImage(image)) this.#cuts.push({ when, image });
    } finally {
      for (const pid of others) signal(pid, 'SIGCONT');
    }
  }

  #isWanted(when: string): boolean {
    const found = [...this.#awaited].find((pattern) => pattern.test(when));
    if (found) this.#awaited.delete(found);
    return found !== undefined || this.#random() < this.#options.random / usualInstants;
  }
}

/** Equal numbers for equal seeds (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** All that works on a disk is gone from one instant to the next, and the disk holds what the image does, from now on. */
export function loseEverything(disk: SmallDisk, image: string): void {
  endProcessesOn(disk);
  disk.unmount();
  execFileSync('cp', ['--sparse=always', image, disk.image]);
  disk.mount();
}

/** The disk as it is now, everything on it written out, as an image to begin from. Whatever works on it is killed. */
export function keepImage(disk: SmallDisk): string {
  const image = disk.copyPath('kept');
  endProcessesOn(disk);
  disk.unmount();
  execFileSync('cp', ['--sparse=always', disk.image, image]);
  disk.mount();
  return image;
}

export function forget(cuts: readonly Cut[]): void {
  for (const { image } of cuts) rmSync(image, { force: true });
}

export function endProcessesOn({ mountPoint }: SmallDisk): void {
  for (let round = 0; round < 200; round += 1) {
    const left = processesOn(mountPoint);
    if (left.length === 0) return;
    for (const pid of left) signal(pid, 'SIGKILL');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
}

/** Those that name the disk in their environment or command line, and those that stand on it: the database's own. */
function processesOn(mountPoint: string): number[] {
  const standing = readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid && standsOn(pid, mountPoint));
  return [...new Set([...findProcessesOf(mountPoint), ...standing])];
}

function standsOn(pid: number, folder: string): boolean {
  try {
    return existsSync(`/proc/${pid}`) && readlinkSync(`/proc/${pid}/cwd`).startsWith(`${folder}/`);
  } catch {
    return false;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself.
  }
}
