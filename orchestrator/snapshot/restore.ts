import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { stopServices } from '../appliance/services.ts';
import { compareProperties } from '../database/facts.ts';
import type { Beyond } from '../database/beyond.ts';
import type { Replacement } from '../database/engine.ts';
import { removeDurably, writeFileAtomic } from '../lib/atomic-file.ts';
import { displayPath } from '../lib/raw-path.ts';
import { plural } from '../lib/units.ts';
import type { RestorePhase } from '../pipeline/journal-entries.ts';
import { updateRef } from '../tools/git.ts';
import { absoluteGitDirectory, changedFiles, readHead } from '../tools/git-facts.ts';
import { barrier } from './barrier.ts';
import { compareTree } from './compare-tree.ts';
import { readInventory } from './files.ts';
import { formatDifference, type Entry } from './inventory.ts';
import { holdsDatabase, type VerifiedManifest } from './manifest.ts';
import { compareProducts, restoreProducts } from './products.ts';
import { codeArea, invertPlan, readPlan } from './rename-plan.ts';
import { compareRegistry, restoreRegistry } from './registry.ts';
import { restoreDatabase, secludeDatabase } from './restore-database.ts';
import { restoreRoot } from './restore-root.ts';
import { rootsToRestore } from './roots.ts';

export interface RestoreOptions {
  /** The appliance inside the run; its configuration is the snapshot's. */
  readonly appliance: Appliance;
  readonly manifest: VerifiedManifest;
  /** The snapshot's folder. */
  readonly folder: string;
  readonly runId: string;
  /** The swap that this run has begun already, from its journal. */
  readonly replacement: Replacement | undefined;
  /**
   * Whether files that the kernel does not know as changed are read all the same. After a power cut they must be:
   * bytes that were overwritten in place may be on disk, while the time of that change is not.
   */
  readonly readAll: boolean;
  /** The swap of the rollback that is to be taken back, from this run's journal. */
  readonly forward?: Replacement | undefined;
  /** Paths of the checkout that stay as they are. */
  readonly keep?: readonly string[] | undefined;
  /** What tells the databases of this restore from those of another one in the same run. */
  readonly mark: string;
  /** Called before and after each phase; durable when it returns. */
  readonly phase: (phase: RestorePhase, state: 'started' | 'finished') => void;
  /** Called before the swap; durable when it returns. */
  readonly announceReplacement: (pair: Replacement) => void;
  readonly note?: ((line: string) => void) | undefined;
}

export interface RestoreReport extends Beyond {
  /** What was compared and found identical, for the operator. */
  readonly compared: string;
}

/**
 * Makes the appliance what the snapshot says: services stopped, code, products, files, database, registry, then
 * everything compared, then the barrier. Knows nothing of the run that failed but what is on disk, deletes nothing
 * that it did not make, and may be run again after a kill at any instant. Services are started by the caller.
 *
 * @throws Error with what differs, or why a phase failed; the next call begins anew
 */
export async function restoreSnapshot(options: RestoreOptions): Promise<RestoreReport> {
  const { appliance, manifest, folder, runId, readAll } = options;
  const runFolder = appliance.state.run(runId);
  const step = async (phase: RestorePhase, work: () => void | Promise<void>) => {
    options.phase(phase, 'started');
    await work();
    options.phase(phase, 'finished');
  };
  await step('stop', async () => {
    await stopServices(appliance, manifest.configuration, options.note);
    await secludeDatabase(options);
  });
  await step('code', async () => await restoreCode(appliance, manifest, folder, runFolder));
  await step('products', () => restoreProducts(appliance, manifest.products, join(runFolder, 'failed')));
  await step('files', async () => {
    for (const root of rootsToRestore(appliance, manifest.roots, options.keep)) {
      options.note?.(`comparing ${root.path}`);
      const places = {
        work: join(runFolder, 'work', root.name),
        failed: join(runFolder, 'failed', root.name),
        runId,
      };
      await restoreRoot(appliance.runtime, folder, root, places, readAll);
    }
  });
  await step('database', async () => await restoreDatabase(options));
  await step('registry', () => {
    // It says what was done to the database, which stays.
    if (appliance.database?.isShared !== true) restoreRegistry(appliance.directory, manifest, folder);
  });
  let compared = '';
  await step('compare', async () => {
    compared = await compareAll(options, readAll);
  });
  await barrier(appliance);
  return { compared, ...(await findBeyond(appliance, manifest)) };
}

/** What a restore of this snapshot does not reach. */
export async function findBeyond({ database }: Appliance, manifest: VerifiedManifest): Promise<Beyond> {
  if (!database || !manifest.database) return { leftOver: [], gone: [] };
  return await database.findBeyond(manifest.database);
}

/** What a restore could not reach, as warnings. */
export const warningsOf = ({ leftOver, gone }: Beyond): string[] => [
  ...leftOver,
  ...gone.map(
    (name) =>
      `the database ${name} is gone from the server since the snapshot, which holds none but the appliance's own: only a backup of ${name} brings it back`,
  ),
];

/** The renames of this run's plan are taken back; index and ref are set to what the manifest says. */
async function restoreCode(
  appliance: Appliance,
  manifest: VerifiedManifest,
  folder: string,
  runFolder: string,
): Promise<void> {
  const { directory, runtime } = appliance;
  const area = codeArea(runFolder);
  const plan = readPlan(area);
  if (plan && plan.from === manifest.commit) invertPlan(directory, area, plan);
  const gitDirectory = await absoluteGitDirectory(runtime, directory);
  const index = join(folder, 'git-index');
  if (existsSync(index) && !sameBytes(index, join(gitDirectory, 'index'))) {
    writeFileAtomic(join(gitDirectory, 'index'), readFileSync(index), 0o644);
  }
  const setRef = async () =>
    await runtime.run(
      updateRef(directory, { ref: manifest.ref ?? 'HEAD', to: manifest.commit, reason: 'holdfast: restore' }),
    );
  if (manifest.ref !== undefined && removeEmptyRef(join(gitDirectory, manifest.ref))) await setRef();
  const head = await readHead(runtime, directory);
  if (head.ref !== manifest.ref)
    throw new Error(
      `HEAD is at ${head.ref ?? 'a commit'} instead of ${manifest.ref ?? 'a commit'}: somebody switched branches meanwhile`,
    );
  if (head.commit !== manifest.commit) await setRef();
}

/** Before 2.36 git moved branches without an fsync: a power cut right after left a file of no bytes, which it cannot read. */
function removeEmptyRef(path: string): boolean {
  if (!existsSync(path) || !/^\0*$/.test(readFileSync(path, 'latin1'))) return false;
  removeDurably(path);
  return true;
}

function sameBytes(one: string, other: string): boolean {
  return existsSync(other) && readFileSync(one).equals(readFileSync(other));
}

/** Compares everything with the snapshot. Throws Error that lists what differs; returns a line that says what did not. */
async function compareAll(
  { appliance, manifest, folder, keep }: RestoreOptions,
  readAll: boolean,
): Promise<string> {
  const { directory, runtime, database } = appliance;
  const problems: string[] = [];
  const parts: string[] = [];
  const lost: string[] = [];
  let entries = 0;
  for (const root of rootsToRestore(appliance, manifest.roots, keep)) {
    const difference = await compareTree(root, readInventory(join(folder, root.inventory)), readAll);
    const name = (entry: Entry, what: string) =>
      `${root.name === 'files' ? '' : `${root.path}: `}${formatDifference(entry.path, what)}`;
    problems.push(
      ...[...difference.damaged, ...difference.folders].map(({ entry, what }) => name(entry, what)),
      ...difference.extra.map((entry) => name(entry, 'was added')),
    );
    lost.push(...difference.lost.map((entry) => displayPath(entry.path)));
    entries += root.entries;
  }
  parts.push(plural(entries, 'file'));
  problems.push(...compareProducts(appliance, manifest.products));
  const head = await readHead(runtime, directory);
  if (head.commit !== manifest.commit)
    problems.push(`the checkout is at ${head.commit} instead of ${manifest.commit}`);
  const changed = await changedFiles(runtime, directory, manifest.registry?.path);
  problems.push(...changed.map((line) => `git status: ${line}`));
  if (database?.isShared === true) parts.push('not the database');
  else if (database && manifest.database) {
    // What is in it was compared before the swap, while nobody else could reach it.
    problems.push(...compareProperties(manifest.database, await database.describeProperties()));
    if (holdsDatabase(manifest)) parts.push(plural(manifest.database.tables.length, 'table'));
  }
  if (database?.isShared !== true) {
    problems.push(...compareRegistry(directory, manifest, folder));
    if (manifest.registry) parts.push('registry');
  }
  if (problems.length > 0) {
    const shown = problems.slice(0, 20).join('\n  ');
    throw new Error(
      `${plural(problems.length, 'thing')} not as before:\n  ${shown}${problems.length > 20 ? '\n  ...' : ''}`,
    );
  }
  const but =
    lost.length === 0
      ? ''
      : `, but for ${plural(lost.length, 'pipe or socket', 'pipes or sockets')} that no snapshot holds (${lost.slice(0, 3).join(', ')})`;
  return `${parts.join(', ')}: identical${but}`;
}
