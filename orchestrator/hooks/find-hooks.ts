import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { stepNames, type StepName } from '../pipeline/journal-entries.ts';

/** Before a hook's point its failure fails the step; after it, it is a warning. */
export type When = 'before' | 'after';

/** Where hooks can be: around a step, or around each migration that a step applies. */
export type HookPoint = StepName | 'migration' | 'data-migration';

/** An executable of the appliance's checkout, by its path in it. */
export interface Hook {
  readonly file: string;
}

const ofNoRun: readonly StepName[] = ['prepare-database', 'clean-up'];
const points: readonly HookPoint[] = [
  ...stepNames.filter((name) => !ofNoRun.includes(name)),
  'migration',
  'data-migration',
];
const folders: ReadonlySet<string> = new Set(
  points.flatMap((point) => [folderOf('before', point), folderOf('after', point)]),
);

/** What the configuration says of hooks; that of an older snapshot says nothing. */
export function hookSettings({ hooks }: { readonly hooks?: Config['hooks'] }): Config['hooks'] {
  return hooks ?? { dir: 'hooks', timeout: 60_000 };
}

/** `before-migrate-schema.d` */
export function folderOf(when: When, point: HookPoint): string {
  return `${when}-${point}.d`;
}

/** The hooks of a point as they lie in the checkout now, in the order of run-parts: by their bytes. */
export function findHooks(directory: string, config: Config, when: When, point: HookPoint): Hook[] {
  const folder = join(hookSettings(config).dir, folderOf(when, point));
  return filesIn(directory, folder)
    .filter((file) => isExecutable(join(directory, file)))
    .map((file) => ({ file }));
}

/** What would never run, and is taken for what runs: names that nothing calls, files that are not executable. */
export interface HookProblems {
  readonly unknown: readonly string[];
  readonly notExecutable: readonly string[];
  /** What has the name of a hook's folder, and is none. */
  readonly noFolders: readonly string[];
}

/** The same of the hooks that lie in the checkout now. */
export function findHookProblems(directory: string, config: Config): HookProblems {
  const { dir } = hookSettings(config);
  if (!existsSync(join(directory, dir))) return { unknown: [], notExecutable: [], noFolders: [] };
  const names = readdirSync(join(directory, dir));
  // Links are followed, as they are when hooks are run.
  const inside = names.filter((name) => isFolder(join(directory, dir, name)));
  return {
    unknown: unknownFolders(inside).map((name) => join(dir, name)),
    notExecutable: inside
      .filter((name) => folders.has(name))
      .flatMap((name) => filesIn(directory, join(dir, name)))
      .filter((file) => !isExecutable(join(directory, file))),
    noFolders: foldersOfHooks(names.filter((name) => !inside.includes(name))).map((name) => join(dir, name)),
  };
}

/** Those of these names that a hook's folder has. */
export function foldersOfHooks(names: readonly string[]): string[] {
  return names.filter((name) => folders.has(name)).toSorted();
}

/** Names of folders that look like a hook's, and are none. Others may lie there: a web application keeps hooks of its own. */
export function unknownFolders(names: readonly string[]): string[] {
  return names.filter((name) => /^(before|after)-|\.d$/.test(name) && !folders.has(name)).toSorted();
}

/** For the one who misspelled one. */
export const knownPoints = points.join(', ');

/** What may be a hook: plain files (or links to such), but those that explain or were put away. */
function filesIn(directory: string, folder: string): string[] {
  if (!isFolder(join(directory, folder))) return [];
  return readdirSync(join(directory, folder))
    .filter((name) => !/^\.|~$|^README|\.md$/.test(name))
    .map((name) => join(folder, name))
    .filter((file) => {
      const stat = statSync(join(directory, file), { throwIfNoEntry: false });
      return stat === undefined || stat.isFile();
    })
    .toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** A link that leads nowhere is not. */
function isExecutable(path: string): boolean {
  return ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o111) !== 0;
}
