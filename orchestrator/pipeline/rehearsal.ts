import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, isAbsolute, join, relative } from 'node:path';
import { markedBy, type Appliance } from '../appliance/appliance.ts';
import { variablesOf } from '../config/database-schema.ts';
import type { Config } from '../config/schema.ts';
import type { DatabaseFacts } from '../database/database-facts.ts';
import { databaseVariables } from '../database/engine.ts';
import type { Activity, ScratchDatabase } from '../database/scratch.ts';
import { messageOf } from '../lib/errors.ts';
import { removeTree } from '../lib/remove-tree.ts';
import { registryPath } from '../snapshot/registry.ts';
import { migrateTo } from '../schema-migrations/engine/migrations-up-to.ts';
import { migrationNames, migrationsFolder, pendingMigrations } from '../schema-migrations/pending.ts';
import { prismaCli } from '../schema-migrations/prisma-cli.ts';
import { compile, install, type BuildContext } from '../steps/builds.ts';
import { dataMigrationsCommand } from '../steps/migrate-data.ts';
import { toArgv } from '../appliance/services.ts';
import { exportTree } from '../tools/export-tree.ts';
import { filesAt } from '../tools/git-facts.ts';
import { isDone } from './data-pending.ts';
import type { StepContext, Target } from './step.ts';

/** Where the rows come from that migrations are tried on. */
export interface RehearsalSource {
  /** The snapshot's id; undefined for a copy of the live database. */
  readonly snapshot: string | undefined;
  readonly file: string;
  readonly facts: DatabaseFacts;
}

/** A migration that was tried. */
export interface Rehearsed extends Activity {
  readonly kind: 'schema' | 'data';
  readonly name: string;
  readonly ms: number;
  /** Why it failed, in the words of who ran it. */
  readonly error?: string;
}

export interface RehearsalReport {
  readonly ok: boolean;
  readonly migrations: readonly Rehearsed[];
  /** How long it took to bring the copy back. */
  readonly restoreMs: number;
}

type Context = Pick<StepContext, 'note' | 'output'> & {
  readonly signal: AbortSignal;
  /** Copy the data that lies in the checkout, for data migrations that work on files. */
  readonly withFiles?: boolean;
};

/** Where a rehearsal keeps what it makes, and the mark of its processes. */
export const rehearsalFolder = ({ state }: Pick<Appliance, 'state'>) => join(state.path, 'rehearsal');

/**
 * Tries the schema and data migrations of a version on a copy of the database, with that version's own code, installed
 * and built beside the live one. The live database and the live files are only read. Stops at the first that fails.
 *
 * @throws Error where it could not even be tried: the version does not install, the copy does not come back
 */
export async function rehearse(
  live: Appliance,
  target: Target,
  source: RehearsalSource,
  context: Context,
): Promise<RehearsalReport> {
  const { database } = live;
  if (!database) throw new Error('this appliance has no database');
  const folder = rehearsalFolder(live);
  const appliance = markedBy(live, folder, context.signal);
  const { note } = context;
  const tree = join(folder, 'tree');
  note(`the code of ${target.label}`);
  await exportTree(appliance, target.commit, tree);
  const staged = { ...appliance, directory: tree };
  bringAlong(live, target.config, tree);
  if (context.withFiles === true) await copyData(appliance, target.config, tree, note);
  await installFor(staged, target, context);
  note('a copy of the database');
  const begunAt = performance.now();
  return await database.withScratch(async (scratch) => {
    const restoreMs = performance.now() - begunAt;
    const names = await migrationsOf(appliance, target);
    const migrations: Rehearsed[] = [];
    for await (const one of attempts(staged, target, names, scratch, context)) {
      migrations.push(one);
      if (one.error !== undefined) return { ok: false, migrations, restoreMs };
    }
    return { ok: true, migrations, restoreMs };
  }, source);
}

/** Ends and removes what a killed rehearsal left; the scratch database goes with the next prune, or the next scratch. */
export async function removeRehearsal(appliance: Pick<Appliance, 'state' | 'runtime'>): Promise<void> {
  const folder = rehearsalFolder(appliance);
  if (!existsSync(folder)) return;
  await appliance.runtime.endRun(folder);
  removeTree(folder);
}

/** What the code needs and git does not have: env files, but for the live database's address, and the record of what is applied. */
function bringAlong(live: Appliance, config: Config, tree: string): void {
  const databaseLine = new RegExp(`^\\s*(?:export\\s+)?(?:${databaseNames(config).join('|')})\\s*=.*$`, 'gm');
  const registry = registryPath(config);
  for (const path of [...config.env.files, ...(registry === undefined ? [] : [registry])]) {
    const from = join(live.directory, path);
    if (isAbsolute(path) || !existsSync(from)) continue;
    const text = readFileSync(from, 'utf8');
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), path === registry ? text : text.replaceAll(databaseLine, ''), {
      mode: 0o600,
    });
  }
}

/** What the appliance keeps in the checkout. Shares its blocks with the live files where the file system can. */
async function copyData(
  { runtime, directory }: Appliance,
  { data }: Config,
  tree: string,
  note: (line: string) => void,
): Promise<void> {
  for (const { path } of data) {
    const from = join(directory, path);
    if (isAbsolute(path) || !existsSync(from)) continue;
    note(`a copy of ${path}`);
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    await runtime.run({ file: 'cp', args: ['-a', '--reflink=auto', '--', from, dirname(join(tree, path))] });
  }
}

/** The variables by which anything of this appliance may find its database. */
function databaseNames({ database }: Config): string[] {
  return [...databaseVariables, ...variablesOf(database)];
}

/** Installs and builds what the migrations are run by: the builds whose folder they lie in. */
async function installFor(
  staged: Appliance,
  target: Target,
  { note, output, signal }: Context,
): Promise<void> {
  const { builds, prisma } = target.config;
  const context: BuildContext = {
    ...{ appliance: staged, target, note, output, signal },
    // A build may migrate: it gets no database.
    databaseEnvironment: async () => await Promise.resolve({}),
  };
  for (const [name, build] of Object.entries(builds)) {
    const isAround = !relative(build.dir, prisma?.dir ?? '.').startsWith('..');
    if (!isAround || build.phase !== 'before-migrations') continue;
    await install(context, name, build);
    await compile(context, name, build);
  }
}

async function migrationsOf(
  { runtime, directory }: Appliance,
  { commit, config }: Target,
): Promise<string[]> {
  const folder = migrationsFolder(config);
  return folder === undefined
    ? []
    : migrationNames(await filesAt(runtime, directory, commit, folder), folder);
}

/** Each schema migration by itself, where Prisma applies them; then the data migrations, as their own run.sh does. */
async function* attempts(
  staged: Appliance,
  { config }: Target,
  names: readonly string[],
  scratch: ScratchDatabase,
  { note, output, signal }: Context,
): AsyncGenerator<Rehearsed> {
  const { prisma } = config;
  if (!prisma) return;
  const { environment } = scratch;
  const attempt = async (
    kind: Rehearsed['kind'],
    name: string,
    command: Parameters<Appliance['runtime']['run']>[0],
  ): Promise<Rehearsed> => {
    note(name);
    const begunAt = performance.now();
    const { result: error, activity } = await scratch.watch(
      async () =>
        await staged.runtime.run(command, { onLine: output }).then(
          () => undefined,
          (failure: unknown) => messageOf(failure),
        ),
    );
    signal.throwIfAborted();
    const ms = performance.now() - begunAt;
    return { kind, name, ms, ...activity, ...(error === undefined ? {} : { error }) };
  };
  if (prisma.deploy === 'holdfast') {
    for (const name of pendingMigrations(names, await scratch.appliedMigrations())) {
      const command = prismaCli(staged, config, ['migrate', 'deploy'], { ...environment, [migrateTo]: name });
      const tried = await attempt('schema', name, command);
      const missing = pendingMigrations([name], await scratch.appliedMigrations()).length > 0;
      yield tried.error === undefined && missing
        ? { ...tried, error: 'Prisma did not apply it, and did not say why' }
        : tried;
    }
  } else if (prisma.deploy !== 'none') {
    const [file = '', ...args] = toArgv(prisma.deploy);
    // The same environment as Prisma's own; the command is another one.
    const command = { ...prismaCli(staged, config, args, environment), file };
    yield await attempt('schema', [file, ...args].join(' '), {
      ...command,
      env: { ...command.env, ...environment },
    });
  }
  if (!prisma.dataMigrations) return;
  const before = new Set(
    (await scratch.dataMigrations()).filter(({ state }) => isDone(state)).map(({ id }) => id),
  );
  const tried = await attempt(
    'data',
    'data migrations',
    dataMigrationsCommand(staged, config, { environment }),
  );
  const ran = (await scratch.dataMigrations()).filter(({ id, state }) => isDone(state) && !before.has(id));
  // An engine with books in the database tells which they were.
  yield { ...tried, name: ran.length === 0 ? tried.name : ran.map(({ id }) => id).join(', ') };
}
