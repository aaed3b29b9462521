import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseEnv } from 'node:util';
import type { Appliance } from '../appliance/appliance.ts';
import { readApplianceEnvironment } from '../config/environment.ts';
import { kindOfDatabase, variablesOf } from '../config/database-schema.ts';
import { renameDurably } from '../lib/atomic-file.ts';
import { messageOf, Refusal } from '../lib/errors.ts';
import { rawFromText } from '../lib/raw-path.ts';
import { removeTree } from '../lib/remove-tree.ts';
import { shellWord } from '../lib/shell-word.ts';
import { resolveRevision } from '../tools/git-facts.ts';
import { extractArchive, readFromArchive } from '../tools/tar.ts';
import { goodOnes, type Choice, type Good } from './choose.ts';
import { readInventory } from './files.ts';
import { databaseDump, holdsDatabase, holdsDump, type Manifest, type VerifiedManifest } from './manifest.ts';
import { describeRoots } from './roots.ts';
import { findWhole, verifySnapshot } from './store.ts';

/*
 * What stands between a snapshot and a rollback to it, looked for while the appliance serves: each is refused with what
 * to type, or mended.
 */

/** Reads every byte of a snapshot. Throws Refusal that names what is damaged, and another snapshot that is whole. */
export async function verifyOrSuggest(choice: Choice, chosen: Good): Promise<VerifiedManifest> {
  try {
    return await verifySnapshot(chosen.folder);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const others = goodOnes(choice).filter(
      ({ id, manifest }) => id !== chosen.id && manifest.kind !== 'before-rollback',
    );
    const whole = await findWhole(others);
    throw new Refusal(
      error.message,
      whole
        ? `./run.sh rollback ${whole.id}   (${whole.manifest.label}, of ${whole.manifest.createdAt}; it is whole)`
        : `there is no other good snapshot here: ./run.sh backup import FILE, if one was exported; or see what ${join(chosen.folder, 'RESTORE.md')} can do with its whole parts`,
      error,
    );
  }
}

/** What an imported snapshot may speak of that is not here. Throws Refusal with the command. */
export async function verifyBelongsHere(
  appliance: Appliance,
  { folder, imported, manifest }: Good,
): Promise<void> {
  const { runtime, directory, config } = appliance;
  if (!holdsDatabase(manifest)) {
    throw new Refusal(
      `cannot roll back to ${manifest.id}: its database could not be read when it was made, and is not in it`,
      `choose another snapshot (./run.sh backup list), or take the files alone by ${join(folder, 'RESTORE.md')}`,
    );
  }
  if ((await resolveRevision(runtime, directory, manifest.commit)) === undefined) {
    throw new Refusal(
      `cannot roll back to ${manifest.id}: its commit ${manifest.commit} is not in this checkout`,
      `git -C ${shellWord(directory)} fetch ${Object.values(config.sources)[0]?.remote ?? 'origin'}, then try again`,
    );
  }
  if (imported !== true) return;
  const known = new Set(describeRoots(appliance, config).map(({ root }) => root.path));
  const unknown = manifest.roots.find(({ name, path }) => name !== 'files' && !known.has(path));
  if (unknown) {
    throw new Refusal(
      `cannot roll back to ${manifest.id}: it came from another place, and would bring back ${unknown.path}, which is no data folder of this appliance`,
      `if it is to be one, name it under "data" in ${appliance.file}; else take the parts by ${join(folder, 'RESTORE.md')}`,
    );
  }
}

/**
 * A snapshot of another database server is restored from its dump into the database that is here. That this works is
 * tried first, in a scratch database.
 *
 * @returns the manifest with the database that is here in the place of that one
 * @throws Refusal with what the server said, such as a role that does not exist here
 */
export async function adoptDatabase(
  { database }: Appliance,
  manifest: VerifiedManifest,
  folder: string,
  say: (line: string) => void,
): Promise<VerifiedManifest> {
  if (!database || !manifest.database) return manifest;
  const facts = await database.adopt(manifest.database);
  if (!facts) return manifest;
  if (!holdsDump(manifest))
    throw new Refusal(
      `cannot roll back to ${manifest.id}: it was made on another database server, and holds no dump`,
      './run.sh backup list shows what else there is',
    );
  say(`${manifest.id} was made on another database: restoring its database on trial ...`);
  let wrong: string[];
  try {
    wrong = await database.tryDump(join(folder, databaseDump), facts);
  } catch (error) {
    wrong = [messageOf(error)];
  }
  if (wrong.length === 0) return { ...manifest, database: facts, volume: undefined };
  throw new Refusal(
    `cannot roll back to ${manifest.id}: its database cannot be restored on this server: ${wrong.join('; ')}`,
    'make here what it needs (roles, extensions), then try again',
  );
}

/**
 * Brings env files back that are gone: without them neither the database can be reached nor the version of now be
 * started again, should the rollback fail. May be run twice.
 *
 * @returns their paths
 */
export async function bringBackLostEnv(
  { config, directory, state, runtime }: Appliance,
  manifest: VerifiedManifest,
  folder: string,
): Promise<string[]> {
  const back: string[] = [];
  const work = join(state.path, 'env-work');
  for (const { file, archive } of envFilesIn(config.env.files, manifest, folder)) {
    const place = join(directory, file);
    if (existsSync(place)) continue;
    removeTree(work);
    mkdirSync(work, { mode: 0o700 });
    await runtime.run(extractArchive({ archive, into: work, entries: Buffer.from(`${file}\0`) }));
    mkdirSync(dirname(place), { recursive: true });
    renameDurably(join(work, file), place);
    back.push(file);
  }
  removeTree(work);
  return back;
}

/**
 * A password that was rotated since, or a database that moved: roles and servers are not restored, so the restored
 * version would not reach its database by the env files of then, or reach another one.
 *
 * @throws Refusal that names the variable, never its value
 */
export async function verifyDatabaseUrls(
  appliance: Appliance,
  manifest: VerifiedManifest,
  folder: string,
): Promise<void> {
  const { config, directory, runtime, secrets } = appliance;
  const { database } = manifest.configuration;
  if (kindOfDatabase(database) !== 'external' || config.database === 'none') return;
  const names = variablesOf(database);
  const now = readApplianceEnvironment(config, directory, secrets);
  const then: Record<string, string | undefined> = {};
  for (const { file, archive } of envFilesIn(manifest.configuration.env.files, manifest, folder)) {
    const { stdout } = await runtime.run(readFromArchive({ archive, entry: file }));
    Object.assign(then, parseEnv(stdout));
  }
  for (const value of Object.values(then)) if (value !== undefined) secrets.add(value);
  const changed = names.find((name) => then[name] !== undefined && then[name] !== now[name]);
  if (changed === undefined) return;
  throw new Refusal(
    `cannot roll back to ${manifest.id}: ${changed} is another one in its env files than now, and a rollback restores neither passwords nor servers`,
    `./run.sh rollback ${manifest.id} --keep-env   (leaves ${config.env.files.join(', ')} as they are)`,
  );
}

/** Those of the env files that a snapshot holds, and in which archive. */
function envFilesIn(
  files: readonly string[],
  { roots }: Pick<Manifest, 'roots'>,
  folder: string,
): { file: string; archive: string }[] {
  const root = roots.find(({ name, present }) => name === 'files' && present);
  if (!root || files.length === 0) return [];
  const held = new Set(readInventory(join(folder, root.inventory)).map(({ path }) => path));
  return files
    .filter((file) => held.has(rawFromText(file)))
    .map((file) => ({ file, archive: join(folder, root.archive) }));
}
