import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../../orchestrator/lib/wait.ts';
import type { Event, ResultEvent } from '../../orchestrator/pipeline/events.ts';
import type { RestorePhase, StepName } from '../../orchestrator/pipeline/journal-entries.ts';
import type { Ledger } from './ledger.ts';

/** Whose command line, and which checkout. */
type Place = Pick<Ledger, 'program' | 'directory'>;

export interface CliEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly result: ResultEvent | undefined;
  readonly stderr: string;
}

/**
 * SQL is parsed by WebAssembly, which Node otherwise compiles once more in the background, with all its might: a second of
 * a core for each process, of which a short one has nothing.
 */
const leanFlag = '--liftoff-only';

const running = new Set<Cli>();

/** The real command line in a process of its own, with --json: what it says can be waited for. */
export class Cli {
  readonly #child: ChildProcess;
  readonly #events: Event[] = [];
  #end: CliEnd | undefined;
  readonly ended: Promise<CliEnd>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    let rest = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#events.push(JSON.parse(line) as Event);
    });
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exitCode, signal) => {
        const result = this.#events.findLast((event) => event.type === 'result');
        this.#end = { exitCode, signal, result, stderr };
        resolve(this.#end);
      });
    });
  }

  static start(ledger: Place, ...argv: string[]): Cli {
    return Cli.startWith({}, ledger, ...argv);
  }

  /** The same with more in its environment. */
  static startWith(env: Readonly<Record<string, string>>, ledger: Place, ...argv: string[]): Cli {
    return Cli.#start(ledger, [], env, argv);
  }

  /** The same on a machine that was booted anew, as far as processes can tell. Needs root, and may mount. */
  static async runAfterReboot(ledger: Ledger, ...argv: string[]): Promise<CliEnd> {
    const boot = join(ledger.sandbox.root, 'boot_id');
    writeFileSync(boot, `${randomUUID()}\n`);
    const script = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"';
    return await Cli.#start(ledger, ['unshare', '--mount', 'sh', '-c', script, boot], {}, argv).ended;
  }

  static #start(
    { program, directory }: Place,
    through: readonly string[],
    env: Readonly<Record<string, string>>,
    argv: readonly string[],
  ): Cli {
    const [file = '', ...args] = [
      ...through,
      program.node,
      leanFlag,
      join(program.runner, 'main.mjs'),
      '--appliance',
      directory,
      '--json',
      '--yes',
      ...argv,
    ];
    return Cli.#spawn(file, args, {
      HOLDFAST_HOME: program.home,
      NODE_COMPILE_CACHE: join(program.runner, 'cache'),
      ...env,
    });
  }

  /** The same through the run.sh of the checkout. */
  static startDoor({ directory }: Ledger, ...argv: string[]): Cli {
    return Cli.#spawn('bash', [join(directory, 'run.sh'), '--json', '--yes', ...argv], {});
  }

  static #spawn(file: string, args: readonly string[], env: Readonly<Record<string, string>>): Cli {
    const child = spawn(file, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const cli = new Cli(child);
    running.add(cli);
    void cli.ended.finally(() => running.delete(cli));
    return cli;
  }

  /** Starts it and waits for its end. */
  static async run(ledger: Place, ...argv: string[]): Promise<CliEnd> {
    return await Cli.start(ledger, ...argv).ended;
  }

  /** Kills those that a failed test left running. */
  static async endAll(): Promise<void> {
    for (const cli of running) await cli.kill();
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /** The last step or phase that it said it had come to. */
  get where(): string {
    const event = this.#events.findLast(({ type }) => type === 'step' || type === 'restore');
    if (event?.type === 'step') return `${event.step} ${event.half} ${event.state}`;
    return event?.type === 'restore' ? `restore ${event.phase} ${event.state}` : 'before the first step';
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Kills it at once, and waits until it is gone. */
  async kill(): Promise<CliEnd> {
    this.signal('SIGKILL');
    return await this.ended;
  }

  /** Resolves as soon as a step has come there. Throws if the process ends without that. */
  async reached(step: StepName, half: 'prepare' | 'apply', state: 'started' | 'finished'): Promise<void> {
    await this.#seen(
      `${step}, ${half}, ${state}`,
      (event) => event.type === 'step' && event.step === step && event.half === half && event.state === state,
    );
  }

  /** Resolves as soon as a restore has begun this phase. */
  async restoring(phase: RestorePhase): Promise<void> {
    await this.#seen(
      `restore, ${phase}`,
      (event) => event.type === 'restore' && event.phase === phase && event.state === 'started',
    );
  }

  async #seen(what: string, isIt: (event: Event) => boolean): Promise<void> {
    await this.until(what, () => this.#events.some(isIt));
  }

  /** Resolves as soon as this is so. Throws if the process ends before, or two minutes have passed. */
  async until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    const found = await waitFor(async () => (await isSo()) || (this.#end ? false : undefined), {
      timeoutMs: 120_000,
      everyMs: 1,
    });
    if (found !== true)
      throw new Error(
        `never: ${what}; exit ${this.#end?.exitCode}, ${this.#end?.stderr} ${JSON.stringify(this.#end?.result ?? this.#events.at(-1))}`,
      );
  }
}
