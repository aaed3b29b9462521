import { readFile } from 'node:fs/promises';
import { bindMigrationAwareSqlAdapterFactory, type SqlDriverAdapter } from '@prisma/driver-adapter-utils';
import type { SchemaEngine } from '@prisma/schema-engine-wasm/schema_engine_bg';
import { logFromEngine } from './log.ts';
import { ScriptError } from './script.ts';
import { loadEngine } from './wasm.ts';

/** Where the engine's databases come from. Each function may throw a KnownError, which `originalOf` finds again. */
export interface EngineDatabases {
  readonly provider: 'postgres' | 'sqlite';
  readonly connect: () => Promise<SqlDriverAdapter>;
  readonly connectToShadowDb: () => Promise<SqlDriverAdapter>;
}

/** A running WebAssembly engine, and what its own errors do not tell. */
export interface RunningEngine {
  readonly wasm: SchemaEngine;
  /** The error behind the engine's "External error id#0"; the same error for any other. */
  originalOf(error: unknown): unknown;
}

/** What happened while the engine worked, seen from outside of it. */
export interface Observations {
  /** The migration whose script is being run, or was last. */
  migrationName?: string;
  /** The last script that failed. */
  scriptError?: ScriptError;
}

/**
 * Starts the WebAssembly engine with the schema files read. It asks the database at once, which creates the URL's schema
 * when it is missing.
 */
export async function startEngine(
  datamodels: readonly string[],
  databases: EngineDatabases,
  observations: Observations,
): Promise<RunningEngine> {
  const { SchemaEngine: Engine } = await loadEngine();
  const files = await Promise.all(
    datamodels.map(async (path): Promise<[string, string]> => [path, await readFile(path, 'utf8')]),
  );
  const factory = bindMigrationAwareSqlAdapterFactory({
    adapterName: databases.provider === 'sqlite' ? 'holdfast-sqlite' : '@prisma/adapter-pg',
    ...databases,
  });
  const originalOf = (error: unknown): unknown => {
    const id = error instanceof Error ? /External error id#(\d+)/.exec(error.message)?.[1] : undefined;
    return id === undefined ? error : (factory.errorRegistry.consumeError(Number(id))?.error ?? error);
  };
  try {
    const options = { datamodels: files.length === 0 ? undefined : files };
    const wasm = await Engine.new(options, (line: string) => observe(line, observations), factory);
    return { wasm, originalOf };
  } catch (error) {
    throw originalOf(error);
  }
}

/** Passes a line of the engine's log on, and picks out of it which migration is being applied. */
function observe(line: string, observations: Observations): void {
  logFromEngine(line);
  const name = /"span":\{"migration_name":"((?:[^"\\]|\\.)*)","name":"Applying migration"\}/.exec(line)?.[1];
  if (name !== undefined) observations.migrationName = String(JSON.parse(`"${name}"`));
}
