import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { FastifyBaseLogger } from 'fastify';

/** The engine is never bundled or built: this is its place as seen from `src` and from `dist`. */
const ENGINE = path.resolve(import.meta.dirname, '../src/data-migrations/main.ts');

/** Something that the engine tells while it works; see its reporter. */
export interface EngineEvent {
  readonly type: string;
  readonly [key: string]: unknown;
}

/** How the engine ended. The exit code means the same as on the command line. */
export type Outcome =
  | { readonly ok: true; readonly message: string; readonly answer: unknown }
  | { readonly ok: false; readonly exitCode: number; readonly error: string };

/** Runs data migrations in a process of its own, under the same lock as the command line and an update. */
export interface MigrationEngine {
  /**
   * Never throws, and ends only when the engine's process has ended, whoever still listens.
   *
   * @param args of the command line, without `--json`
   */
  run(args: readonly string[], onEvent?: (event: EngineEvent) => void): Promise<Outcome>;
  /** Asks what is at work to stop; it says so in its outcome, and the next run goes on with it. */
  stop(): void;
}

/** Nothing is started before it is asked. */
export function createEngine(databaseUrl: string, onComplaint: (line: string) => void): MigrationEngine {
  const atWork = new Set<ChildProcess>();
  return {
    async run(args, onEvent = () => {}) {
      try {
        const child = startEngine(args, databaseUrl);
        atWork.add(child);
        createInterface({ input: child.stderr }).on('line', onComplaint);
        return await follow(child, onEvent).finally(() => void atWork.delete(child));
      } catch (error) {
        // Node refuses to start a process with a NUL in its arguments, and without memory.
        const reason = error instanceof Error ? error.message : String(error);
        return { ok: false, exitCode: 1, error: `cannot start the data migrations: ${reason}` };
      }
    },
    stop() {
      for (const child of atWork) child.kill('SIGTERM');
    },
  };
}

function startEngine(
  args: readonly string[],
  databaseUrl: string,
): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ENGINE, '--json', ...args], {
    env: engineEnvironment(databaseUrl),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/**
 * Migrations have no business with the keys to the backend. NODE_OPTIONS names the gate's preload, which is Holdfast's
 * and may be gone when an update has replaced it: Node would not start.
 */
function engineEnvironment(databaseUrl: string): NodeJS.ProcessEnv {
  const { DEVELOPER_KEY: _key, HOLDFAST_GATE_TOKEN: _token, NODE_OPTIONS: _options, ...rest } = process.env;
  return { ...rest, DATABASE_URL: databaseUrl };
}

async function follow(
  child: ChildProcessByStdio<null, Readable, Readable>,
  onEvent: (event: EngineEvent) => void,
): Promise<Outcome> {
  let outcome: Outcome | undefined;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said = parseLine(line);
    if (said === undefined) return;
    if ('event' in said) onEvent(said.event);
    else outcome = said.outcome;
  });
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  child.once('error', (error) => resolve(error.message));
  child.once('close', (code, signal) => resolve(signal ?? `exit ${code}`));
  const end = await ended;
  const error = `cannot say how the data migrations went: their process ended too soon (${end}). See --status and the backend's log`;
  return outcome ?? { ok: false, exitCode: 1, error };
}

/** An event, the result, or (for --status and --list) the one object that was asked for. */
function parseLine(
  line: string,
): { readonly event: EngineEvent } | { readonly outcome: Outcome } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const said: Readonly<Record<string, unknown>> = { ...value };
  if (typeof said['type'] !== 'string') return { outcome: { ok: true, message: '', answer: value } };
  if (said['type'] !== 'result') return { event: value as EngineEvent };
  const { message, error, exitCode } = said;
  if (said['ok'] === true)
    return { outcome: { ok: true, message: typeof message === 'string' ? message : '', answer: undefined } };
  return {
    outcome: {
      ok: false,
      exitCode: typeof exitCode === 'number' ? exitCode : 1,
      error: typeof error === 'string' ? error : 'the data migrations failed without saying why',
    },
  };
}

/** What somebody should find in the log who did not see the run. */
export function logEvent(log: FastifyBaseLogger, event: EngineEvent): void {
  const { type, message, ...details } = event;
  if (type === 'warning') log.warn(`data migrations: ${String(message)}`);
  else if (type === 'migration-started' || type === 'migration-finished') log.info(details, type);
}

export function logOutcome(log: FastifyBaseLogger, outcome: Outcome): void {
  if (outcome.ok) log.info(outcome.message);
  else log.error({ exitCode: outcome.exitCode }, outcome.error);
}
