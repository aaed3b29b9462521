import type { SchemaEngine } from '@prisma/schema-engine-wasm/schema_engine_bg';
import { messageOf } from '../../lib/errors.ts';
import type { EngineArguments } from './arguments.ts';
import { EngineStarter } from './engine-starter.ts';
import { knownCodeOf } from './errors.ts';
import { isRecord } from './is-record.ts';
import { migrateTo, migrationsUpTo } from './migrations-up-to.ts';
import { migrationFailed } from './migration-failed.ts';
import { UnknownMethodError } from './rpc.ts';
import type { CallMethod } from './server.ts';
import { targetOf, type EngineTarget } from './target.ts';

/** The methods that the WebAssembly engine has under the protocol's own name, with the protocol's own parameters. */
const passedOn = [
  'applyMigrations',
  'createMigration',
  'devDiagnostic',
  'diagnoseMigrationHistory',
  'diff',
  'evaluateDataLoss',
  'introspect',
  'introspectSql',
  'markMigrationApplied',
  'markMigrationRolledBack',
  'reset',
  'schemaPush',
] as const;

/**
 * The engine's methods for one run of it. Three are ours: the WebAssembly engine does not have `createDatabase`, takes no
 * address for `ensureConnectionValidity`, and for `dbExecute` replaces PostgreSQL's words by its own ("The underlying
 * table for model ..."). All others go to it.
 */
export function engineMethods(engineArguments: EngineArguments): CallMethod {
  const { datasource } = engineArguments;
  const starter = new EngineStarter(engineArguments);
  const targetIn = (params: unknown): EngineTarget => addressIn(params) ?? starter.target();

  return async (method, params) => {
    if (method === 'createDatabase') return { databaseName: await targetIn(params).create() };
    if (method === 'ensureConnectionValidity') {
      await targetIn(params).check();
      return {};
    }
    if (method === 'dbExecute') {
      await targetIn(params).execute(scriptIn(params));
      return {};
    }
    if (method === 'getDatabaseVersion') {
      return await run(starter, false, async (wasm) => await wasm.version(null));
    }
    if (method === 'debugPanic') return await run(starter, true, async (wasm) => wasm.debugPanic());

    const known = passedOn.find((name) => name === method);
    if (known === undefined) throw new UnknownMethodError(method);
    const isOffline = known === 'diff' && needsNoDatabase(params, datasource.shadowDatabaseUrl);
    try {
      return await run(starter, isOffline, async (wasm) => await passOn(wasm, known, limited(known, params)));
    } catch (error) {
      const { migrationName, scriptError } = starter.observations;
      if (known !== 'applyMigrations' || scriptError === undefined) throw error;
      throw migrationFailed(migrationName, scriptError, error);
    }
  };
}

/** `migrate deploy --to NAME`: Prisma itself knows no such limit. */
function limited(method: string, params: unknown): unknown {
  const last = process.env[migrateTo];
  return method === 'applyMigrations' && last !== undefined ? migrationsUpTo(params, last) : params;
}

/** Runs one method and gives its errors back what the engine took from them. */
async function run(
  starter: EngineStarter,
  isOffline: boolean,
  work: (wasm: SchemaEngine) => Promise<unknown>,
): Promise<unknown> {
  const engine = isOffline ? await starter.offline() : await starter.online();
  starter.forgetScriptError();
  try {
    return await work(engine.wasm);
  } catch (error) {
    const { scriptError } = starter.observations;
    // With a code, as P3006 for the shadow database, PostgreSQL's words are in the engine's text already.
    if (scriptError === undefined || knownCodeOf(error) !== undefined) throw engine.originalOf(error);
    throw new Error(scriptError.failure.text, { cause: error });
  }
}

async function passOn(
  wasm: SchemaEngine,
  method: (typeof passedOn)[number],
  params: unknown,
): Promise<unknown> {
  try {
    return await callEngine(wasm, method, params);
  } catch (error) {
    if (method !== 'evaluateDataLoss' || !/external factory/.test(messageOf(error))) throw error;
    // This method alone is given no shadow database (7.10): it goes by what `devDiagnostic` has found on one, which is
    // out of date as soon as `migrate dev` has applied a migration that waited.
    await callEngine(wasm, 'devDiagnostic', params);
    return await callEngine(wasm, method, params);
  }
}

async function callEngine(
  wasm: SchemaEngine,
  method: (typeof passedOn)[number],
  params: unknown,
): Promise<unknown> {
  // The engine checks what it is given; nothing here would be safer for pretending to know the types.
  const result: unknown = await Reflect.apply(wasm[method], wasm, [params]);
  return result;
}

/** True when a comparison asks nothing of the main database. */
function needsNoDatabase(params: unknown, shadowUrl: string | undefined): boolean {
  if (!isRecord(params)) return false;
  return [params['from'], params['to']].every((target) => {
    const tag = isRecord(target) ? target['tag'] : undefined;
    return tag === 'empty' || tag === 'schemaDatamodel' || (tag === 'migrations' && shadowUrl !== undefined);
  });
}

const scriptIn = (params: unknown): string =>
  isRecord(params) && typeof params['script'] === 'string' ? params['script'] : '';

/** The database that a method names itself, if it does. */
function addressIn(params: unknown): EngineTarget | undefined {
  const named = isRecord(params) ? (params['datasource'] ?? params['datasourceType']) : undefined;
  return isRecord(named) && typeof named['url'] === 'string' ? targetOf(named['url']) : undefined;
}
