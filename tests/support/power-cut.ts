import { existsSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import type { Event } from '../../orchestrator/pipeline/events.ts';
import type { Runtime } from '../../orchestrator/runtime/runtime.ts';
import { findProcessesOf } from './sandbox.ts';
import type { SmallDisk } from './small-disk.ts';

/** An instant of a run, and what the disk would have held if the power had gone then. */
export interface Cut {
  readonly when: string;
  readonly image: string;
}

/**
 * Copies the image of a disk while a run is at work on it: at every record of its journal, before and after every
 * command, and at random instants within them. Nothing of the run is told to write anything out for it. While a copy
 * is made everything on the disk stands still, so that it is one instant.
 */
export class PowerCuts {
  readonly cuts: Cut[] = [];
  /** How many instants there were to choose from. */
  seen = 0;
  readonly #disk: SmallDisk;
  readonly #wanted: (when: string) => boolean;
  #current: string | undefined;

  /** @param wanted decides of which instants a copy is made */
  constructor(disk: SmallDisk, wanted: (when: string) => boolean) {
    this.#disk = disk;
    this.#wanted = wanted;
  }

  readonly listen = (event: Event): void => {
    if (event.type === 'step') this.#at(`${event.step}, ${event.half} ${event.state}`);
    else if (event.type === 'restore') this.#at(`restore ${event.phase} ${event.state}`);
    else if (event.type === 'output') this.#at(`output: ${event.line}`);
  };

  /** @param barriers whether `sync` does what it says: a test must be able to fail */
  wrap(runtime: Runtime, barriers = true): Runtime {
    return {
      ...runtime,
      run: async (command, options) => {
        const name = [basename(command.file), ...command.args].join(' ').slice(0, 60);
        this.#at(`before ${name}`);
        this.#current = name;
        const result =
          basename(command.file) === 'sync' && !barriers
            ? { exitCode: 0, stdout: '', stderr: '' }
            : await runtime.run(command, options);
        this.#current = undefined;
        this.#at(`after ${name}`);
        return result;
      },
    };
  }

  /** A copy at any instant, for a timer. */
  strike(): void {
    if (this.#current !== undefined) this.#at(`within ${this.#current}`);
  }

  #at(when: string): void {
    this.seen += 1;
    if (!this.#wanted(when)) return;
    const image = this.#disk.copyPath(`cut-${this.seen}`);
    const others = processesOn(this.#disk.mountPoint);
    for (const pid of others) signal(pid, 'SIGSTOP');
    try {
      if (this.#disk.copyImage(image)) this.cuts.push({ when, image });
    } finally {
      for (const pid of others) signal(pid, 'SIGCONT');
    }
  }

  /** The copies take memory: to be called when they have been tried. */
  remove(): void {
    for (const { image } of this.cuts) rmSync(image, { force: true });
  }
}

/** Everything that works on a disk is gone from one instant to the next, and the disk is another one. */
export function loseEverything(disk: SmallDisk, image?: string): void {
  endProcessesOn(disk);
  disk.unmount();
  disk.mount(image);
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
