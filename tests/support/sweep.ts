import { setTimeout as sleep } from 'node:timers/promises';
import { listSnapshots } from '../../orchestrator/snapshot/store.ts';
import { Cli } from './cli.ts';
import { killings, type Killing } from './killing.ts';
import { leftOf } from './left-behind.ts';
import { Ledger } from './ledger.ts';
import { Random } from './random.ts';
import { release, type Engine } from './releases.ts';
import { sweepEngines, type SweepEngine } from './sweep-engines.ts';
import { anchorsOf, committed, releases, soonMs, type Anchor } from './sweep-plan.ts';
import { differences, type State } from './state.ts';
import { timeless } from './timeless.ts';
import { Writer } from './writer.ts';

export interface SweepOptions {
  /** How many processes are killed. */
  readonly count: number;
  /** The same seed gives the same plan; the instants are as exact as the machine is. */
  readonly seed: number;
  readonly database?: Engine | undefined;
  readonly note?: (line: string) => void;
}

export interface SweepReport {
  readonly kills: number;
  /** Of the cases, each with one kill or several, how many came out as before and as after. */
  readonly before: number;
  readonly after: number;
  /** What was neither, with everything that tells why. */
  readonly mixed: readonly string[];
  /** Writes that were acknowledged, and looked for afterwards. */
  readonly writes: number;
}

/**
 * Kills whole updates, their restores, recoveries and rollbacks at random instants while a client keeps writing, has a
 * new process recover, and looks whether the appliance is one whole version, with every acknowledged write.
 */
export async function sweep({
  count,
  seed,
  database = 'postgresql',
  note = () => {},
}: SweepOptions): Promise<SweepReport> {
  const run = await Sweep.prepare(database, new Random(seed), note);
  try {
    while (run.kills < count && run.mixed.length === 0) await run.oneCase(count);
    return run;
  } finally {
    await run.destroy();
  }
}

class Sweep implements SweepReport {
  kills = 0;
  before = 0;
  after = 0;
  writes = 0;
  readonly mixed: string[] = [];
  readonly #ledger: Ledger;
  readonly #engine: SweepEngine;
  readonly #random: Random;
  readonly #note: (line: string) => void;
  /** The appliance as every case finds it, and as the good release leaves it. */
  #home!: State;
  #updated!: State;
  /** How long a command takes when nobody kills it, in ms. */
  readonly #lasts = new Map<string, number>();

  private constructor(ledger: Ledger, engine: SweepEngine, random: Random, note: (line: string) => void) {
    this.#ledger = ledger;
    this.#engine = engine;
    this.#random = random;
    this.#note = note;
  }

  static async prepare(
    database: 'postgresql' | 'sqlite',
    random: Random,
    note: (line: string) => void,
  ): Promise<Sweep> {
    const ledger = await Ledger.install({ sqlite: database === 'sqlite' });
    const engine = sweepEngines[database];
    try {
      const prepared = new Sweep(ledger, engine, random, note);
      const installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
      await ledger.succeed('update');
      for (const [tag, edit] of Object.entries(releases))
        await ledger.sandbox.publish(edit, { tag, onto: installed });
      await prepared.#measure();
      return prepared;
    } catch (error) {
      await ledger.destroy();
      throw error;
    }
  }

  async destroy(): Promise<void> {
    await Cli.endAll();
    await this.#ledger.destroy();
  }

  /** Each command once without a kill: how long it takes, and what the good release makes of the appliance. */
  async #measure(): Promise<void> {
    for (const tag of Object.keys(releases)) {
      if (tag === 'good') continue;
      await this.#time(`update ${tag}`, 10, 'update', '--to', tag);
    }
    this.#home = await this.#capture();
    await this.#time('update good', 0, 'update', '--to', 'good');
    this.#updated = await this.#capture();
    await this.#time('rollback', 0, 'rollback');
    this.#expect('after the rollback', differences(this.#home, await this.#capture()));
  }

  async #time(name: string, exitCode: number, ...argv: string[]): Promise<void> {
    const startedAt = performance.now();
    const end = await Cli.run(this.#ledger, ...argv);
    if (end.exitCode !== exitCode)
      throw new Error(
        `${name} without a kill: exit ${end.exitCode}, ${JSON.stringify(end.result)} ${end.stderr}`,
      );
    this.#lasts.set(name, performance.now() - startedAt);
    this.#note(`${name} takes ${Math.round(performance.now() - startedAt)} ms`);
  }

  /** One command, killed once; sometimes its recovery as well, and that one's again. */
  async oneCase(count: number): Promise<void> {
    // Now and then a kill comes right after the commit: left to chance, a short sweep might never see one.
    const late = (this.before + this.after) % 8 === 4;
    const isRollback = !late && this.#random.chance(0.2);
    const tag = late || this.#random.chance(0.4) ? 'good' : this.#random.pick(Object.keys(releases));
    const name = isRollback ? 'rollback' : `update ${tag}`;
    if (isRollback) await this.#ledger.succeed('update', '--to', 'good');
    const start = isRollback ? await this.#capture() : this.#home;
    const writer = Writer.start(this.#ledger);
    const story: string[] = [];
    let run: string | undefined;
    let problems: string[];
    let acknowledged: readonly string[];
    try {
      const anchor = late
        ? committed
        : this.#random.chance(0.5)
          ? this.#random.pick(anchorsOf(name))
          : undefined;
      await this.#runAndKill(name, isRollback ? ['rollback'] : ['update', '--to', tag], story, anchor);
      while (this.#random.chance(0.35) && this.kills < count)
        await this.#runAndKill(
          'recover',
          ['recover'],
          story,
          this.#random.pick([...anchorsOf('recover'), undefined]),
        );
      run = this.#ledger.open().state.unfinishedRun();
      problems = await this.#recover(story);
    } finally {
      ({ acknowledged } = await writer.stop());
    }
    this.writes += acknowledged.length;
    if (problems.length > 0) this.#expect(story.join('; '), problems);
    else await this.#judge(story, { start, isRollback, acknowledged, run });
  }

  /** A new process recovers. Returns what went wrong with that. */
  async #recover(story: string[]): Promise<string[]> {
    const recovery = await Cli.run(this.#ledger, 'recover');
    story.push(`recover: exit ${recovery.exitCode}, ${String(recovery.result?.outcome)}`);
    if (recovery.exitCode !== 0 && recovery.exitCode !== 10)
      return [JSON.stringify(recovery.result), recovery.stderr];
    // Where nothing had been touched yet, a recovery starts nothing either.
    if (!story.some((line) => line.includes('everything'))) return [];
    const started = await Cli.run(this.#ledger, 'start');
    return started.exitCode === 0 ? [] : [JSON.stringify(started.result), started.stderr];
  }

  /**
   * Starts a command and kills it: at any instant of the time that it takes, or soon after it came to some step, so that
   * the short ones have their share. One that was quicker is not killed.
   */
  async #runAndKill(
    name: string,
    argv: readonly string[],
    story: string[],
    anchor: Anchor | undefined,
  ): Promise<void> {
    const delay = this.#random.next() * (anchor ? soonMs : (this.#lasts.get(name) ?? 4000));
    const killing = this.#random.pick(Object.keys(killings) as Killing[]);
    const cli = Cli.start(this.#ledger, ...argv);
    await anchor?.(cli).catch(() => undefined);
    await Promise.race([sleep(delay), cli.ended]);
    if (cli.hasEnded) {
      story.push(`${name} was quicker`);
      return;
    }
    killings[killing](cli, this.#ledger);
    await cli.ended;
    this.kills += 1;
    story.push(`${name} killed (${killing}) at ${cli.where}`);
  }

  async #judge(
    story: readonly string[],
    it: { start: State; isRollback: boolean; acknowledged: readonly string[]; run: string | undefined },
  ): Promise<void> {
    const ledger = this.#ledger;
    const problems = it.run === undefined ? [] : await leftOf(ledger, it.run);
    const atHome = (await ledger.sandbox.installedCommit()) === commitOf(this.#home);
    const isAfter = it.isRollback === atHome;
    const there = new Set(await ledger.notes());
    const missing = it.acknowledged.filter((note) => ![...there].some((found) => found.endsWith(note)));
    // A rollback sets aside what was written since: it must be in the snapshot that undoes it.
    const aside = it.isRollback && isAfter && missing.length > 0 ? await this.#setAside() : '';
    for (const note of missing) if (!aside.includes(note)) problems.push(`lost: ${note}`);
    const expected = atHome ? this.#home : it.isRollback ? it.start : this.#updated;
    await this.#engine.removeWrites(this.#ledger, expected);
    const now = await this.#capture();
    problems.push(
      ...(atHome || it.isRollback
        ? differences(expected, now)
        : differences(timeless(expected), timeless(now))),
    );
    this.#expect(story.join('; '), problems);
    if (isAfter) this.after += 1;
    else this.before += 1;
    this.#note(
      `${this.kills} kills: ${isAfter ? 'after ' : 'before'}, ${it.acknowledged.length} writes; ${story.join('; ')}`,
    );
    if (!atHome) {
      await ledger.succeed('rollback');
      await this.#engine.removeWrites(this.#ledger, this.#home);
      this.#expect(`rollback after ${story.join('; ')}`, differences(this.#home, await this.#capture()));
    }
  }

  async #setAside(): Promise<string> {
    const { backupsDirectory } = this.#ledger.open();
    const safety = listSnapshots(backupsDirectory).find(
      ({ manifest }) => manifest?.kind === 'before-rollback',
    );
    if (!safety) return '';
    return await this.#engine.entriesIn(safety.folder);
  }

  async #capture(): Promise<State> {
    return this.#engine.comparable(await this.#ledger.capture());
  }

  #expect(story: string, problems: readonly string[]): void {
    if (problems.length === 0) return;
    this.mixed.push(`${story}\n    ${problems.slice(0, 40).join('\n    ')}`);
  }
}

const commitOf = (state: State): string | undefined => state.get('git')?.['commit'];
