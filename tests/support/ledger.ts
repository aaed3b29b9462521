import { appendFileSync, chmodSync, cpSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openAppliance, type Appliance, type Program } from '../../orchestrator/appliance/appliance.ts';
import { ask } from '../../orchestrator/appliance/http.ts';
import { serviceHandle } from '../../orchestrator/appliance/services.ts';
import { loadAppliance } from '../../orchestrator/config/load.ts';
import { sharedSocketFolder } from '../../orchestrator/database/socket-folder.ts';
import type { Event } from '../../orchestrator/pipeline/events.ts';
import { localRuntime } from '../../orchestrator/runtime/local.ts';
import type { Runtime } from '../../orchestrator/runtime/runtime.ts';
import { captureAppliance } from './appliance-state.ts';
import { FaultPlan, type Fault } from './faults.ts';
import { runInProcess, type Outcome } from './in-process.ts';
import { LedgerDatabase } from './ledger-database.ts';
import { builtRunner } from './runner.ts';
import { Sandbox } from './sandbox.ts';
import { removeContainersOf, testPool } from './lxd-host.ts';
import { engineOf, replaceIn } from './releases.ts';
import { addHoldfast, lendPackages } from './self-hosted.ts';
import { spreadFolders } from './roomy-folder.ts';
import type { State } from './state.ts';
import { testedDatabase } from './tested-database.ts';

/** A database on a server that Holdfast does not run, as its owner and as the server's administrator reach it. */
export interface ExternalDatabase {
  readonly url: string;
  readonly adminUrl: string;
  /** Another environment works on it as well. */
  readonly isShared?: boolean;
}

export interface LedgerOptions {
  /** Where its sandbox shall lie. */
  readonly parent?: string;
  /** The server that it uses instead of one of its own. */
  readonly external?: ExternalDatabase | undefined;
  /** It keeps its books in a file of SQLite, `data/ledger.db`; without a word, in what the suites run on. */
  readonly sqlite?: boolean | undefined;
  /** It runs in containers of the LXD of tests (lxd-host.ts); in this storage pool, if it is named. */
  readonly lxd?: boolean | string | undefined;
  /** What is to be done with the clone before it is set up. */
  readonly before?: (ledger: Ledger) => void;
}

let made = 0;

const intoContainers = (folder: string, pool: string) => {
  made += 1;
  replaceIn(
    folder,
    'appliance.yaml',
    'name: ledger',
    `name: l${process.pid}-${made}\nruntime: lxd\nlxd: { pool: ${pool} }`,
  );
  replaceIn(folder, 'appliance.yaml', '{ embedded: true }', '{ embedded: true, name: ledger }');
  for (const next of ['phase', 'start'])
    replaceIn(
      folder,
      'appliance.yaml',
      `    dir: web\n    ${next}`,
      `    dir: web\n    container: frontend\n    ${next}`,
    );
};

/** The ledger, running in a sandbox, and everything that a test asks of it or does to it. */
export class Ledger {
  readonly sandbox: Sandbox;
  readonly program: Program;
  readonly #faults = new FaultPlan();
  readonly database: LedgerDatabase;

  private constructor(sandbox: Sandbox, program: Program, external?: ExternalDatabase) {
    this.sandbox = sandbox;
    this.program = program;
    this.database = new LedgerDatabase(() => this.open(), external?.adminUrl);
  }

  /** A clone that was never set up. */
  static async create({
    parent,
    external,
    lxd = false,
    sqlite = testedDatabase === 'sqlite' && !external,
  }: LedgerOptions = {}): Promise<Ledger> {
    const runner = await builtRunner();
    const sandbox = await Sandbox.create({
      parent,
      overlay: sqlite ? 'ledger-sqlite' : undefined,
      edit: (folder) => {
        if (lxd !== false) intoContainers(folder, lxd === true ? testPool : lxd);
        if (sqlite) replaceIn(folder, 'appliance.yaml', '{ embedded: true }', '{ file: data/ledger.db }');
        if (external)
          replaceIn(
            folder,
            'appliance.yaml',
            '{ embedded: true }',
            `{ url: DATABASE_URL${external.isShared ? ', shared: true' : ''} }`,
          );
      },
    });
    if (external) appendFileSync(join(sandbox.directory, '.env'), `DATABASE_URL=${external.url}\n`);
    const program = { version: 'test', home: sandbox.home, runner, node: process.execPath };
    if (lxd !== false) {
      // Containers walk to what they mount as nobody.
      chmodSync(sandbox.root, 0o755);
      program.runner = join(sandbox.root, 'runner');
      cpSync(runner, program.runner, { recursive: true });
    }
    return new Ledger(sandbox, program, external);
  }

  /**
   * A clone that brings Holdfast itself, as the reference appliance does: its own run.sh, sources and lockfile. The
   * packages are ours already, so that a start needs no network. To be used through `Cli.startDoor`.
   */
  static async createSelfHosted(): Promise<Ledger> {
    const sandbox = await Sandbox.create();
    await sandbox.publish(addHoldfast, { tag: 'v1.1' });
    await sandbox.git(sandbox.directory, 'pull', '--quiet', '--ff-only');
    const { directory } = sandbox;
    lendPackages(directory);
    const runner = await builtRunner();
    return new Ledger(sandbox, { version: 'test', home: directory, runner, node: process.execPath });
  }

  /** Set up, with three acknowledged entries, and a database whose own properties are not the usual ones. */
  static async install(options: LedgerOptions = {}): Promise<Ledger> {
    const ledger = await Ledger.create(options);
    try {
      options.before?.(ledger);
      await ledger.succeed('setup');
      for (const [note, amount] of [
        ['opening', 100],
        ['coffee', -3],
        ['rent', -70],
        ['sale', 12],
      ] as const)
        await ledger.post(note, amount);
      if (engineOf(ledger.directory) === 'sqlite') return ledger;
      await ledger.database.makeUnusual();
      // A disk of the test's own is there to fill up or to lose its power: on that one nothing is spared.
      if (!options.parent && !options.external && !options.lxd) {
        await ledger.database.spare();
        // Each database is a folder of some 300 files, and every update makes one and removes it.
        spreadFolders(join(ledger.open().state.postgres, 'cluster/data/base'));
      }
    } catch (error) {
      // Why it could not be taken away either is mostly the same reason.
      await ledger.destroy().catch(() => {});
      throw error;
    }
    return ledger;
  }

  get directory(): string {
    return this.sandbox.directory;
  }

  /** The appliance as the orchestrator sees it, on the real runtime. */
  open(): Appliance {
    return openAppliance(loadAppliance(this.directory), { program: this.program, runtime: localRuntime });
  }

  /** Runs a command in this process: `run('update', '--to', 'v2')`. */
  async run(...argv: string[]): Promise<Outcome> {
    return await this.watched(this.#faults.listen, this.#faults.wrap(localRuntime), ...argv);
  }

  /** A command as it is typed at a terminal, where --yes is not said by itself. */
  atTerminal(...argv: string[]): { words: readonly string[]; env: Readonly<Record<string, string>> } {
    const main = join(this.program.runner, 'main.mjs');
    return {
      words: [this.program.node, main, '--appliance', this.directory, '--no-color', ...argv],
      env: { HOLDFAST_HOME: this.program.home },
    };
  }

  /** The same on a runtime of the test's own; nothing goes on before `listen` has heard of an event. */
  async watched(
    listen: (event: Event) => void,
    runtime: Runtime = localRuntime,
    ...argv: string[]
  ): Promise<Outcome> {
    return await runInProcess(
      this.program,
      runtime,
      ['--appliance', this.directory, '--yes', ...argv],
      listen,
    );
  }

  /** The same where the test begins only after it. Throws if it fails. */
  async succeed(...argv: string[]): Promise<void> {
    const { exitCode, error } = await this.run(...argv);
    if (exitCode !== 0) throw new Error(`${argv.join(' ')}: exit ${exitCode}, ${error}`);
  }

  /** A command in which one operation fails. Throws if that never came: then nothing was tested. */
  async failing(fault: Fault, ...argv: string[]): Promise<Outcome> {
    this.#faults.plan(fault);
    try {
      const outcome = await this.run(...argv);
      if (!this.#faults.fired)
        throw new Error(`the fault never came: ${fault.operation} in ${fault.step}; ${outcome.error}`);
      return outcome;
    } finally {
      this.#faults.plan(undefined);
    }
  }

  /** Everything that must be exactly as before after an update that failed. */
  async capture(): Promise<State> {
    const appliance = this.open();
    const adminUrl = this.database.engine === 'postgresql' ? this.database.adminUrl() : undefined;
    return await captureAppliance(appliance, this.sandbox, adminUrl);
  }

  /** Process ids of the services, by name: equal ones were never stopped. */
  async pids(): Promise<Record<string, number>> {
    const appliance = this.open();
    const pids: Record<string, number> = {};
    for (const name of Object.keys(appliance.config.services)) {
      const state = await appliance.runtime.serviceState(serviceHandle(appliance, name));
      pids[name] = state.running ? state.pid : 0;
    }
    return pids;
  }

  get apiPort(): number {
    return this.open().config.services['api']?.port ?? 0;
  }

  /** The commit that answers. */
  async answeringCommit(): Promise<unknown> {
    const { body } = await ask(`http://127.0.0.1:${this.apiPort}/version`, { timeoutMs: 5000 });
    return (JSON.parse(body) as { commit: unknown }).commit;
  }

  /** Writes an entry through the API. Resolves when it is acknowledged. */
  async post(note: string, amount: number): Promise<void> {
    const { status, body } = await ask(`http://127.0.0.1:${this.apiPort}/entries`, {
      timeoutMs: 5000,
      method: 'POST',
      body: JSON.stringify({ note, amount }),
    });
    if (status !== 200) throw new Error(`the entry was not acknowledged: ${status} ${body}`);
  }

  /** The notes of all entries, in order. */
  async notes(): Promise<string[]> {
    const { body } = await ask(`http://127.0.0.1:${this.apiPort}/entries`, { timeoutMs: 5000 });
    return (JSON.parse(body) as { note: string }[]).map(({ note }) => note);
  }

  /** Runs SQL as the administrator of the database. */
  async sql(text: string): Promise<Record<string, unknown>[]> {
    return await this.database.rows(text);
  }

  async destroy(): Promise<void> {
    try {
      if (!existsSync(join(this.directory, 'appliance.yaml'))) return;
      const { config, database, state } = this.open();
      if (config.runtime === 'lxd') {
        await removeContainersOf(config);
        rmSync(sharedSocketFolder(join(state.postgres, 'socket')));
      } else await database?.stop();
    } finally {
      await this.sandbox.destroy();
    }
  }
}
