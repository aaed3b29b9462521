import { join } from 'node:path';
import { readApplianceEnvironment } from '../config/environment.ts';
import type { Loaded } from '../config/load.ts';
import { ContainerServer } from '../database/container.ts';
import { EmbeddedServer } from '../database/embedded.ts';
import type { Database } from '../database/engine.ts';
import { ExternalServer } from '../database/external.ts';
import { PostgresDatabase } from '../database/postgres.ts';
import { SharedDatabase } from '../database/shared.ts';
import { SqliteClient } from '../database/sqlite/client.ts';
import { SqliteDatabase } from '../database/sqlite/database.ts';
import { databaseFile } from '../database/sqlite/places.ts';
import { VolumeDatabase } from '../database/volume.ts';
import { Secrets } from '../lib/secrets.ts';
import { runningInside } from '../runtime/inside.ts';
import { openLxdRuntime } from '../runtime/lxd/open.ts';
import type { RunOptions, Runtime } from '../runtime/runtime.ts';
import { StateDirectory } from './state.ts';

/** The program itself: what an interrupted run must be recovered by. */
export interface Program {
  readonly version: string;
  /** The checkout that run.sh lies in. */
  readonly home: string;
  /** The folder of the built runner. */
  readonly runner: string;
  /** The Node that runs it. */
  readonly node: string;
}

/** One appliance with all that is needed to work on it. */
export interface Appliance extends Loaded {
  readonly program: Program;
  readonly state: StateDirectory;
  readonly runtime: Runtime;
  readonly database: Database | undefined;
  readonly secrets: Secrets;
  /** The Node that the appliance's own commands run with. */
  readonly node: string;
  /** A line for the operator from somewhere deep, such as an installation by apt. */
  readonly say: (line: string) => void;
}

/** Puts an appliance together. Touches nothing. */
export function openAppliance(
  loaded: Loaded,
  options: { program: Program; runtime: Runtime; say?: (line: string) => void; secrets?: Secrets },
): Appliance {
  const secrets = options.secrets ?? new Secrets();
  const state = new StateDirectory(loaded.stateDirectory);
  const say = options.say ?? (() => {});
  const { runtime: kind } = loaded.config;
  const runtime =
    kind === 'lxd' && options.runtime.name !== kind
      ? openLxdRuntime(loaded, options.runtime, options.program)
      : options.runtime;
  const base = {
    ...loaded,
    program: options.program,
    state,
    secrets,
    say,
    runtime,
    node: loaded.config.node === 'auto' ? (runtime.node ?? options.program.node) : loaded.config.node,
  };
  return { ...base, database: openDatabase(base) };
}

function openDatabase(base: Omit<Appliance, 'database'>): Database | undefined {
  const { config, state, runtime, secrets, say } = base;
  const database = config.database;
  if (database === 'none') return undefined;
  if ('file' in database)
    return new SqliteDatabase({
      file: databaseFile(base.directory, database.file),
      variables: database.url,
      runtime,
      client: new SqliteClient(runtime, base.program.node, programFile(base.program, 'sqlite.mjs')),
      scratchFolder: join(state.path, 'scratch-database'),
      servicesFolder: state.services,
      isInstalled: () => state.isInstalled(),
    });
  if (database.embedded === true && config.runtime === 'lxd') {
    const inside = runningInside(runtime, 'postgres');
    const own = { folder: state.postgres, database: database.name ?? config.name, secrets };
    const server = new ContainerServer({ ...own, runtime: inside });
    const places = {
      fenceFile: join(state.path, 'fence.json'),
      reserveFolder: join(state.postgres, 'reserve'),
    };
    return runtime.volumes
      ? new VolumeDatabase(server, inside, runtime.volumes, places)
      : new PostgresDatabase(server, inside, places);
  }
  const server =
    database.embedded === true
      ? new EmbeddedServer({
          folder: state.postgres,
          runtime,
          database: database.name ?? config.name,
          secrets,
          say,
        })
      : new ExternalServer({
          variables: database.url,
          adminVariable: database.adminUrl,
          fence: database.fence,
          environment: () => readApplianceEnvironment(config, base.directory, secrets),
          secrets,
        });
  const Kind = database.embedded !== true && database.shared ? SharedDatabase : PostgresDatabase;
  return new Kind(server, runtime, {
    fenceFile: join(state.path, 'fence.json'),
    reserveFolder: join(state.postgres, 'reserve'),
  });
}

/**
 * What the processes of a run carry as HOLDFAST_RUN. The folder and not the id: ids come from the clock, and another
 * appliance of this machine may have begun a run in the same second, whose processes are not ours to end.
 */
export const runMark = (appliance: Pick<Appliance, 'state'>, runId: string) => appliance.state.run(runId);

/**
 * The same appliance inside a run: every command carries the run's mark, by which recovery finds what a killed run
 * left behind, and is ended when the signal fires.
 */
export function insideRun(appliance: Appliance, runId: string, signal?: AbortSignal): Appliance {
  return withRunOptions(appliance, { signal, runId: runMark(appliance, runId) });
}

/** The same for work that is no run: its processes are found by this mark. */
export function markedBy(appliance: Appliance, mark: string, signal: AbortSignal): Appliance {
  return withRunOptions(appliance, { signal, runId: mark });
}

/** The same appliance, whose commands are ended when the signal fires. */
export function untilAborted(appliance: Appliance, signal: AbortSignal): Appliance {
  return withRunOptions(appliance, { signal });
}

function withRunOptions(appliance: Appliance, defaults: RunOptions): Appliance {
  const { runtime, program, say, secrets } = appliance;
  const scoped: Runtime = {
    ...runtime,
    run: async (command, options) => await runtime.run(command, { ...defaults, ...options }),
  };
  return openAppliance(appliance, { program, runtime: scoped, say, secrets });
}

/** Makes the appliance's secrets known, so that they are masked in whatever is told from now on. What cannot be read has none. */
export async function learnSecrets({ config, directory, secrets, database }: Appliance): Promise<void> {
  try {
    readApplianceEnvironment(config, directory, secrets);
  } catch {
    // An env file that is missing is told where its values are needed.
  }
  await database?.environment().catch(() => undefined);
}

/** The folder with what the runner needs beside its code: the gate's preload, the schema engine. */
export function programFile(program: Program, name: string): string {
  return join(program.runner, name);
}
