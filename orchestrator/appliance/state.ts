import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { removeDurably, writeFileAtomic } from '../lib/atomic-file.ts';
import { keepFromGitClean } from '../lib/own-repository.ts';
import { hasCode } from '../lib/errors.ts';

/** Where the state of an appliance lies. Every folder 0700, every file 0600, whatever the umask. */
export class StateDirectory {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  get runs() {
    return join(this.path, 'runs');
  }
  get products() {
    return join(this.path, 'products');
  }
  get services() {
    return join(this.path, 'services');
  }
  get logs() {
    return join(this.path, 'logs');
  }
  get lock() {
    return join(this.path, 'lock');
  }
  get lockHolder() {
    return join(this.path, 'lock-holder.json');
  }
  get postgres() {
    return join(this.path, 'postgres');
  }
  get installed() {
    return join(this.path, 'installed.json');
  }
  get unfinished() {
    return join(this.path, 'unfinished');
  }
  get recoverScript() {
    return join(this.path, 'recover');
  }
  run(id: string) {
    return join(this.runs, id);
  }

  /** Creates the folders. May be run twice. */
  ensure(): void {
    for (const folder of [this.path, this.runs, this.products, this.services, this.logs]) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    }
    keepFromGitClean(this.path);
  }

  /** The id of the run that has not come to its end, if there is one; empty if the mark is damaged. */
  unfinishedRun(): string | undefined {
    try {
      return readFileSync(this.unfinished, 'utf8').trim();
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  markUnfinished(runId: string): void {
    writeFileAtomic(this.unfinished, `${runId}\n`);
  }

  clearUnfinished(): void {
    removeDurably(this.unfinished);
  }

  /** True once `setup` has come to its end. */
  isInstalled(): boolean {
    return existsSync(this.installed);
  }

  /** True if the appliance had a registry of data migrations when it was last set up or updated. */
  hadRegistry(): boolean {
    try {
      return (JSON.parse(readFileSync(this.installed, 'utf8')) as { registry?: boolean }).registry === true;
    } catch {
      return false;
    }
  }

  /** Run ids in the order of their making, which is that of the counter: ids come from the clock. */
  runIds(): string[] {
    if (!existsSync(this.runs)) return [];
    return readdirSync(this.runs)
      .flatMap((id) => {
        const sequence = sequenceOf(join(this.runs, id, 'journal.ndjson'));
        return sequence === undefined ? [] : [{ id, sequence }];
      })
      .toSorted((one, other) => one.sequence - other.sequence || (one.id < other.id ? -1 : 1))
      .map(({ id }) => id);
  }

  /**
   * The next number of a counter that only goes up: what orders snapshots and runs. The clock does not: it is set
   * back by time servers and by hand.
   *
   * @param atLeast what is in use already, should the counter itself have been lost
   */
  nextSequence(atLeast = 1): number {
    const path = join(this.path, 'sequence');
    let last = 0;
    try {
      last = Number.parseInt(readFileSync(path, 'utf8'), 10) || 0;
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
    const next = Math.max(last + 1, atLeast);
    writeFileAtomic(path, `${next}\n`);
    return next;
  }
}

/** The number of a run by its journal's first record; 0 where that cannot be read, undefined without a journal. */
function sequenceOf(journal: string): number | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(journal, 'r');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
  try {
    const start = Buffer.alloc(4096);
    const [line = ''] = start.toString('utf8', 0, readSync(descriptor, start)).split('\n');
    return Number(/"sequence":(\d+)/.exec(line)?.[1] ?? 0);
  } finally {
    closeSync(descriptor);
  }
}

/** A run's id from the clock, for people: 20261120-021403; with a suffix where that one is taken. */
export function newRunId(now: Date, isTaken: (id: string) => boolean): string {
  const digits = (value: number, width = 2) => String(value).padStart(width, '0');
  const day = `${now.getFullYear()}${digits(now.getMonth() + 1)}${digits(now.getDate())}`;
  const base = `${day}-${digits(now.getHours())}${digits(now.getMinutes())}${digits(now.getSeconds())}`;
  let id = base;
  for (let suffix = 2; isTaken(id); suffix += 1) id = `${base}-${suffix}`;
  return id;
}
