import type { Volumes } from './volumes.ts';

/**
 * Where the appliance runs. Only implementations of this interface start processes; everything else describes
 * what is wanted as data. Tests fake or wrap this seam and no other.
 */
export interface Runtime {
  readonly name: 'local' | 'lxd';

  /**
   * What keeps the outside away from a version that is not committed: each service itself (gate-preload.cjs), or that
   * nothing leads to it before `expose`.
   */
  readonly gate: 'preload' | 'address';

  /** The Node of the places, where they have one of their own. */
  readonly node?: string;

  /** Where the database's data lie on a volume of its own. */
  readonly volumes?: Volumes;

  /** Where places have disks of their own, and a restore needs room on them. */
  readonly reserve?: PlacesReserve;

  /** What every command and service of a place finds in its environment, with this Node first on its PATH. */
  environment(nodePath: string): Record<string, string>;

  /**
   * Runs a command to its end.
   *
   * It runs in a process group of its own, so that the Ctrl-C of a terminal reaches only us, and a cancelled or
   * timed-out command is ended with everything that it started.
   *
   * @throws CommandError if it cannot be started, exits non-zero (unless `allowFailure`), or runs out of time;
   *   the signal's reason if `signal` fires
   */
  run(command: Command, options?: RunOptions): Promise<CommandResult>;

  /** Holds the kernel's exclusive lock on a file until released or until we die, however that happens. */
  tryLock(path: string): Promise<HeldLock | undefined>;

  /** Starts a service that outlives us. Throws if the program cannot be started. */
  startService(service: ServiceLaunch): Promise<void>;

  /** Ends a service and everything it started; returns only when all of it is gone. May be run twice. */
  stopService(service: ServiceHandle, stop: StopPolicy): Promise<void>;

  /** Names of the services of this folder of which something lives or a record is left. */
  startedServices(stateFolder: string): Promise<string[]>;

  /** Whether the service's main process lives, and which it is. */
  serviceState(service: ServiceHandle): Promise<ServiceState>;

  /**
   * One HTTP request from where a service runs, to whom "this machine" in its address is its own.
   *
   * @throws Error if nobody answers, or the time is over
   */
  ask(url: string, options: AskOptions): Promise<Answer>;

  /** Where services of a place answer other places. */
  addressOf(place: Place): Promise<string>;

  /** Lets the outside reach these services and no others. May be run twice. */
  expose(doors: readonly Door[]): Promise<void>;

  /** The ports of this machine that `expose` has taken for them. */
  exposed(): Promise<readonly number[]>;

  /** Lets nobody from outside reach any of them, not even after a reboot. May be run twice. */
  conceal(): Promise<void>;

  /** Makes what it needs of this machine, where it is missing. Throws Refusal with the fix. Run twice, it changes nothing. */
  setUp(say: (line: string) => void): Promise<void>;

  /**
   * @returns a remark on what commands and services run in; undefined where that is this machine
   * @throws Refusal with the fix, where it is not there, does not run, or has no room
   */
  verify(): Promise<string | undefined>;

  /** The same at a glance, for who only looks: changes nothing, and throws nothing. */
  glance(): Promise<Glance | undefined>;

  /**
   * Has everything run that commands and services need to run in; or this place alone, and the others are left as they are.
   * Throws Refusal with the fix. May be run twice.
   */
  prepare(only?: Place): Promise<void>;

  /**
   * Ends every process that a killed run left behind (they carry `HOLDFAST_RUN`). Returns how many there were.
   * May be run twice.
   */
  endRun(runId: string): Promise<number>;
}

/** Where the parts of an appliance run that is laid out in containers. */
export type Place = 'postgres' | 'backend' | 'frontend';

export interface Glance {
  readonly ok: boolean;
  readonly text: string;
  /** How to mend it. */
  readonly next?: string | undefined;
}

export interface AskOptions {
  readonly inside: Place;
  /** For the whole of it. */
  readonly timeoutMs: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export interface Command {
  /** The container that it runs in, where the appliance has some; on this machine without, or where it has none. */
  readonly inside?: Place | undefined;
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** The whole environment of the command, when given; ours otherwise. */
  readonly env?: Readonly<Record<string, string>>;
  /** Added to the environment. */
  readonly addEnv?: Readonly<Record<string, string>>;
  /** Text for its standard input; nothing otherwise. Secrets belong here, never in `args`. */
  readonly input?: string | Uint8Array;
  readonly timeoutMs?: number;
  /** How its output is read: text, or "latin1" where each character of the result shall be one byte. */
  readonly encoding?: 'utf8' | 'latin1';
  /** The user to run as, by name; only root can ask for another than itself. */
  readonly user?: string;
  /** What the operator reads when it fails; the file's name otherwise. */
  readonly label?: string;
  /** Opened for the command as descriptor 3: see `directoryDescriptor`. */
  readonly openDirectory?: string;
}

/**
 * How a command reaches the folder that was opened for it. It needs this where it runs as another user and a folder
 * above, such as /root, is closed to that user: an open folder can be used without walking the path to it.
 */
export const directoryDescriptor = '/proc/self/fd/3';

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  /** Each line of output as it comes, standard output and error mixed. */
  readonly onLine?: ((line: string) => void) | undefined;
  /** Resolve, instead of throwing, when it exits non-zero. */
  readonly allowFailure?: boolean;
  /** The mark of the run it belongs to (`runMark`): recovery ends what carries it. */
  readonly runId?: string | undefined;
}

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface HeldLock {
  /** Settles when the lock is lost without having been released. */
  readonly lost: Promise<void>;
  release(): Promise<void>;
}

/** A port of a service that the outside reaches. */
export interface Door {
  readonly service: string;
  readonly inside: Place;
  readonly port: number;
}

export interface ServiceHandle {
  readonly name: string;
  /** Where it runs, if that is known: as `Command.inside`. */
  readonly inside?: Place | undefined;
  /** Folder where the runtime keeps what it knows of services (0700). */
  readonly stateFolder: string;
  /**
   * For a service whose children overwrite their environment and leave its process group, as PostgreSQL's do: every
   * process of this program in this folder is part of it, too.
   */
  readonly place?: { readonly program: string; readonly folder: string };
}

export interface ServiceLaunch extends ServiceHandle {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly user?: string;
  /** Opened for the service as descriptor 3: see `directoryDescriptor`. */
  readonly openDirectory?: string;
}

/** Room on the disks of places that nothing else can fill: whatever is written there in a window, the way back has it. */
export interface PlacesReserve {
  /** What it takes of all of them, without what a restore of the database needs. */
  readonly bytes: number;

  /**
   * Takes it, really and at once. May be run twice.
   *
   * @param databaseBytes what a restore of the database needs on its storage
   * @throws CommandError that names the place, with the words of its file system
   */
  take(databaseBytes: number): Promise<void>;

  /** Gives it back. May be run twice. */
  release(): Promise<void>;
}

export interface StopPolicy {
  readonly signal: NodeJS.Signals;
  readonly timeoutMs: number;
  /** Who gets the first signal: the main process, or its whole group. */
  readonly kill: 'group' | 'process';
  /** Ended as well: who listens on this port from inside this folder, though it shed all marks of the service. */
  readonly listening?: { readonly port: number; readonly within: string };
}

export type ServiceState = { readonly running: true; readonly pid: number } | { readonly running: false };

/** A command that failed, with the end of what it printed. */
export class CommandError extends Error {
  readonly exitCode: number | undefined;
  readonly stderr: string;
  readonly stdout: string;

  constructor(message: string, result: { exitCode?: number | undefined; stdout: string; stderr: string }) {
    super(message);
    this.name = 'CommandError';
    this.exitCode = result.exitCode;
    this.stdout = result.stdout;
    this.stderr = result.stderr;
  }
}

/** What is thrown for a command that ended with another code than 0. */
export function commandFailed(label: string, result: CommandResult): CommandError {
  const printed = lastLines(result.stderr.trim() === '' ? result.stdout : result.stderr);
  return new CommandError(
    `${label} failed (exit ${result.exitCode})${printed === '' ? '' : `: ${printed}`}`,
    result,
  );
}

/** The last lines of a program's output, which is where programs say why they failed. */
export function lastLines(text: string, count = 12): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
