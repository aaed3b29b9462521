import { existsSync, lstatSync, mkdirSync, readFileSync, renameSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { fsyncDirectory, renameDurably, writeFileAtomic } from '../lib/atomic-file.ts';
import { hasCode, HoldfastError, Refusal } from '../lib/errors.ts';
import {
  ancestorsOf,
  displayPath,
  parentOf,
  rawFromJson,
  rawFromText,
  rawToJson,
  under,
  type RawPath,
} from '../lib/raw-path.ts';
import { lastLines, type Runtime } from '../runtime/runtime.ts';
import * as git from '../tools/git.ts';
import { verifyFilters, verifyMovable, verifyNothingInTheWay } from './plan-checks.ts';

/*
 * How code changes: git never writes the live tree. The files of the target lie staged in a folder on the
 * same file system; each path that differs is moved aside by a rename, and the staged one moved in by another. The
 * plan, and what is on disk, tell at every instant how to go back.
 */

export interface RenamePlan {
  readonly from: string;
  readonly to: string;
  /** Symbolic HEAD, or undefined on a detached one. */
  readonly ref: string | undefined;
  readonly changes: readonly PathChange[];
}

export interface PathChange {
  readonly path: RawPath;
  readonly kind: 'add' | 'modify' | 'delete';
}

/** The folders of one run's code change. */
export interface CodeArea {
  readonly plan: string;
  readonly staged: string;
  readonly aside: string;
  readonly failed: string;
  readonly index: string;
}

export function codeArea(runFolder: string): CodeArea {
  const base = join(runFolder, 'code');
  return {
    plan: join(base, 'plan.json'),
    staged: join(base, 'staged'),
    aside: join(base, 'aside'),
    failed: join(runFolder, 'failed', 'code'),
    index: join(base, 'index'),
  };
}

/** Reads `git diff-tree --raw -z`. Throws Refusal for what a rename cannot do: submodules. */
export function parseDiff(raw: string): PathChange[] {
  const fields = raw.split('\0');
  const changes: PathChange[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const match = /^:(\d{6}) (\d{6}) [0-9a-f]+ [0-9a-f]+ ([ADMT])$/.exec(fields[i] ?? '');
    if (!match)
      throw new HoldfastError(`cannot read git's list of changes at "${fields[i]}"`, { exitCode: 1 });
    const [, oldMode, newMode, status] = match;
    const path = (fields[i + 1] ?? '') as RawPath;
    if (oldMode === '160000' || newMode === '160000') {
      throw new Refusal(
        `cannot update: the submodule ${displayPath(path)} changes, and submodules are not supported yet`,
        'ask the vendor for a release that leaves the submodule as it is, or holds its files itself',
      );
    }
    changes.push({ path, kind: status === 'A' ? 'add' : status === 'D' ? 'delete' : 'modify' });
  }
  return changes;
}

/**
 * Makes the plan and stages the target's files. Touches only the area and git's object store.
 *
 * @param ours a path that stays as it is here, whatever the target says of it: the registry of data migrations
 * @throws Refusal if a path of the target is in use by something that git does not track
 */
export async function preparePlan(
  runtime: Runtime,
  directory: string,
  gitDirectory: string,
  area: CodeArea,
  target: Omit<RenamePlan, 'changes'>,
  ours?: string,
): Promise<RenamePlan> {
  const { stdout } = await runtime.run(git.diffTree(directory, target.from, target.to));
  const stays = ours !== undefined && existsSync(join(directory, ours)) ? rawFromText(ours) : undefined;
  const plan: RenamePlan = { ...target, changes: parseDiff(stdout).filter(({ path }) => path !== stays) };
  verifyNothingInTheWay(directory, plan.changes);
  verifyMovable(directory, plan.changes);
  mkdirSync(area.staged, { recursive: true, mode: 0o700 });
  mkdirSync(area.aside, { recursive: true, mode: 0o700 });
  await runtime.run(git.readTree(directory, target.to, area.index));
  // Attributes decide about filters and line endings, so git needs to find them where it writes.
  const attributes = await runtime.run(git.listIndex(directory, area.index, '*.gitattributes'));
  const paths = new Set<string>(attributes.stdout.split('\0').filter((path) => path !== ''));
  for (const change of plan.changes) if (change.kind !== 'delete') paths.add(change.path);
  if (paths.size > 0) {
    const input = Buffer.from(`${[...paths].join('\0')}\0`, 'latin1');
    await verifyFilters(runtime, directory, area.index, input);
    const { stderr } = await runtime.run(
      git.checkoutIndex({ gitDirectory, indexFile: area.index, workTree: area.staged, paths: input }),
    );
    // A filter that fails and is not "required" leaves git with what is stored, and with exit 0.
    if (/external filter .* failed/.test(stderr))
      throw new Refusal(
        `cannot update: a filter that git is configured to use failed: ${lastLines(stderr, 3)}`,
        'git config --get-regexp filter shows them; mend or remove it, then try again',
      );
  }
  writeFileAtomic(
    area.plan,
    JSON.stringify({ ...plan, changes: plan.changes.map((c) => ({ ...c, path: rawToJson(c.path) })) }),
  );
  return plan;
}

/** The plan of a run, or undefined if it came to none. */
export function readPlan(area: CodeArea): RenamePlan | undefined {
  if (!existsSync(area.plan)) return undefined;
  const raw = JSON.parse(readFileSync(area.plan, 'utf8')) as {
    changes: { path: string; kind: PathChange['kind'] }[];
  } & Omit<RenamePlan, 'changes'>;
  return {
    ...raw,
    ref: raw.ref ?? undefined,
    changes: raw.changes.map((c) => ({ ...c, path: rawFromJson(c.path) })),
  };
}

/** Carries the plan out. Killed in the middle, `invertPlan` finds on disk what is done. */
export async function carryOutPlan(
  runtime: Runtime,
  directory: string,
  gitDirectory: string,
  area: CodeArea,
  plan: RenamePlan,
): Promise<void> {
  const touched = new Set<string>();
  for (const { path, kind } of plan.changes) {
    if (kind !== 'add') move(directory, area.aside, path, touched);
  }
  removeEmptied(
    directory,
    plan.changes,
    plan.changes.filter(({ kind }) => kind !== 'delete'),
  );
  for (const { path, kind } of plan.changes) {
    if (kind !== 'delete') move(area.staged, directory, path, touched);
  }
  syncFolders(touched);
  await runtime.run(git.refreshIndex(directory, area.index), { allowFailure: true });
  renameDurably(area.index, join(gitDirectory, 'index'));
  await runtime.run(
    git.updateRef(directory, {
      ref: plan.ref ?? 'HEAD',
      to: plan.to,
      from: plan.from,
      reason: 'holdfast: update',
    }),
  );
}

/**
 * Takes the renames of a plan back, as far as they happened: decided by what is on disk, so it may be run after a
 * kill at any instant, and twice. Files of the new version move to `failed`. Index and ref are the caller's.
 */
export function invertPlan(directory: string, area: CodeArea, plan: RenamePlan): void {
  const touched = new Set<string>();
  for (const { path, kind } of plan.changes.toReversed()) {
    const movedIn =
      kind !== 'delete' && !exists(under(area.staged, path)) && !exists(under(area.failed, path));
    // A modified file that was never moved aside is still the old one.
    const isNew = kind === 'add' || exists(under(area.aside, path));
    if (movedIn && isNew && isLeaf(directory, path)) move(directory, area.failed, path, touched);
  }
  removeEmptied(
    directory,
    plan.changes,
    plan.changes.filter(({ path }) => exists(under(area.aside, path))),
  );
  for (const { path, kind } of plan.changes) {
    if (kind === 'add' || !exists(under(area.aside, path))) continue;
    if (exists(under(directory, path))) move(directory, area.failed, path, touched);
    move(area.aside, directory, path, touched);
  }
  syncFolders(touched);
}

/** Renames one entry from one tree into another. Done already is no error. */
function move(from: string, to: string, path: RawPath, touched: Set<string>): void {
  if (!exists(under(from, path))) return;
  mkdirSync(under(to, parentOf(path)), { recursive: true });
  renameSync(under(from, path), under(to, path));
  // All folders above: one that was made for it, or removed after it, is an entry of its own parent.
  for (const root of [from, to]) {
    for (const above of ['' as RawPath, ...ancestorsOf(path)])
      touched.add(under(root, above).toString('latin1'));
  }
}

/** Every rename is followed by an fsync of both its folders; folders that are gone need none. */
function syncFolders(folders: ReadonlySet<string>): void {
  for (const folder of folders) {
    const path = Buffer.from(folder, 'latin1');
    // What was a folder may be a link now, to somewhere else or to nowhere.
    if (exists(path) && lstatSync(path).isDirectory()) fsyncDirectory(path);
  }
}

/** Removes the folders that changes left empty. One that is needed again at once stays, or its mode would be lost. */
function removeEmptied(
  directory: string,
  changes: readonly PathChange[],
  coming: readonly PathChange[],
): void {
  const needed = new Set(coming.flatMap(({ path }) => ancestorsOf(path)));
  const folders = new Set(changes.flatMap(({ path }) => ancestorsOf(path)));
  for (const folder of [...folders].toSorted((a, b) => b.length - a.length))
    if (!needed.has(folder)) removeIfEmpty(directory, folder);
}

function removeIfEmpty(directory: string, folder: RawPath): void {
  try {
    rmdirSync(under(directory, folder));
  } catch (error) {
    if (!hasCode(error, 'ENOTEMPTY', 'ENOENT', 'ENOTDIR', 'EEXIST', 'EBUSY')) throw error;
  }
}

/**
 * True for what git tracks: a file or a link in folders. A folder of that name, or what a link leads to, is the old
 * version's, back in its place.
 */
function isLeaf(directory: string, path: RawPath): boolean {
  const isFolder = (one: RawPath) => lstatSync(under(directory, one)).isDirectory();
  return exists(under(directory, path)) && !isFolder(path) && ancestorsOf(path).every(isFolder);
}

function exists(path: Buffer): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    if (hasCode(error, 'ENOTDIR')) return false;
    throw error;
  }
}
