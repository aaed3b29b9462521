import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils';
import type { EngineArguments } from './arguments.ts';
import { parseConnectionUrl } from './connection-url.ts';
import { startEngine, type Observations, type RunningEngine } from './engine.ts';
import { offlineAdapter } from './offline-adapter.ts';
import { ScriptError } from './script.ts';
import { openShadowDatabase } from './shadow-database.ts';
import { shadowVariable } from './shadow-variable.ts';
import { SqliteTarget } from './sqlite/target.ts';
import { providerOf, targetOf, type EngineTarget } from './target.ts';

/**
 * Starts the WebAssembly engine when the first method needs it, on one session that lives as long as the run: Prisma's
 * advisory lock, once taken, is held to the end, as by the native engine.
 */
export class EngineStarter {
  readonly observations: Observations = {};
  readonly #arguments: EngineArguments;
  #running: Promise<RunningEngine> | undefined;

  constructor(engineArguments: EngineArguments) {
    this.#arguments = engineArguments;
  }

  /**
   * The configured database.
   *
   * @throws {Error} when there is none; {KnownError} P1013 when its URL cannot be read.
   */
  target(): EngineTarget {
    const { url } = this.#arguments.datasource;
    if (url !== undefined) return targetOf(url);
    throw new Error(
      'The datasource.url property is required in your Prisma config file when using this command.',
    );
  }

  /** To be called before each method: what failed in an earlier one explains nothing in this. */
  forgetScriptError(): void {
    delete this.observations.scriptError;
  }

  /** The engine on the database, the same one each time. */
  async online(): Promise<RunningEngine> {
    this.#running ??= this.#start(async () => await this.target().connect(this.#onScriptError));
    return await this.#running;
  }

  /** An engine that has no database, for comparing files. */
  async offline(): Promise<RunningEngine> {
    return await this.#start(async () =>
      providerOf(this.#arguments) === 'sqlite' ? SqliteTarget.shadow(this.#onScriptError) : offlineAdapter(),
    );
  }

  async #start(connect: () => Promise<SqlDriverAdapter>): Promise<RunningEngine> {
    const { datamodels, datasource } = this.#arguments;
    const provider = providerOf(this.#arguments);
    const connectToShadowDb = async (): Promise<SqlDriverAdapter> => {
      if (provider === 'sqlite') return SqliteTarget.shadow(this.#onScriptError);
      const main = datasource.url === undefined ? undefined : parseConnectionUrl(datasource.url);
      const shadow = datasource.shadowDatabaseUrl ?? process.env[shadowVariable];
      return await openShadowDatabase(main, shadow, this.#onScriptError);
    };
    return await startEngine(datamodels, { provider, connect, connectToShadowDb }, this.observations);
  }

  readonly #onScriptError = (error: unknown): void => {
    if (error instanceof ScriptError) this.observations.scriptError = error;
  };
}
