import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import type { Config } from '../config/schema.ts';
import { Refusal } from '../lib/errors.ts';
import type { RunKind } from '../pipeline/journal-entries.ts';
import type { Origin, Target } from '../pipeline/step.ts';
import { filesAt, plainFilesAt } from '../tools/git-facts.ts';
import {
  findHookProblems,
  findHooks,
  folderOf,
  foldersOfHooks,
  hookSettings,
  knownPoints,
  unknownFolders,
  type HookProblems,
} from './find-hooks.ts';

/** What would never run, and what to do about it. */
interface Problem {
  readonly path: string;
  readonly what: string;
  readonly next: string;
}

/**
 * Looks whether every hook that lies there would run: those of the checkout, and those that an update's target brings.
 *
 * @returns what is to be told: files that are not executable, which is how a hook is switched off, and what is wrong
 *   with hooks that came with a version which was installed already. Nobody here can mend that, and to refuse backups,
 *   rollbacks and the very update that has it right would help nobody
 * @throws Refusal for a folder that nothing calls, most often a misspelled step, and for a file in the place of a folder
 */
export async function verifyHooks(
  { runtime, directory, config }: Pick<Appliance, 'runtime' | 'directory' | 'config'>,
  run?: { readonly kind: RunKind; readonly origin: Pick<Origin, 'commit'>; readonly target: Target },
): Promise<string[]> {
  const { notExecutable, ...found } = findHookProblems(directory, config);
  const warnings =
    notExecutable.length === 0 ? [] : [`not executable, so not run as a hook: ${notExecutable.join(', ')}`];
  const problems = [...problemsOf(found, ''), ...uncalled(directory, config)];
  const { dir } = hookSettings(config);
  const tracked = problems.length === 0 ? [] : await filesAt(runtime, directory, 'HEAD', dir);
  for (const problem of problems) {
    const { path, what } = problem;
    if (!tracked.some((file) => file === path || file.startsWith(`${path}/`))) throw refusalOf(problem);
    warnings.push(`${what}; it came with the version that is installed`);
  }
  if (run && run.target.commit !== run.origin.commit) {
    for (const problem of await problemsAt({ runtime, directory }, run.target)) {
      if (run.kind === 'update') throw refusalOf({ ...problem, next: rightRelease });
      warnings.push(problem.what);
    }
  }
  return warnings;
}

const rightRelease = 'ask the vendor for a release that has it right';

const refusalOf = ({ what, next }: Problem) => new Refusal(`cannot go on: ${what}`, next);

/** @param where what stands behind a path that is not in the checkout: " of v2" */
function problemsOf(
  { unknown, noFolders }: Pick<HookProblems, 'unknown' | 'noFolders'>,
  where: string,
): Problem[] {
  return [
    ...unknown.map((path) => ({
      path,
      what: `nothing calls ${path}${where}, so what is in there would never run; there are before- and after- of ${knownPoints}, each ending in .d`,
      next: 'rename it, or take it away',
    })),
    ...noFolders.map((path) => ({
      path,
      what: `${path}${where} is no folder, so it would never run`,
      next: 'make it a folder with the executable in it, or take it away',
    })),
  ];
}

/** The same of a version that is not checked out. */
async function problemsAt(
  { runtime, directory }: Pick<Appliance, 'runtime' | 'directory'>,
  { commit, label, config }: Target,
): Promise<Problem[]> {
  const { dir } = hookSettings(config);
  const partsOf = (path: string) => path.slice(dir.length + 1).split('/');
  const inside = (await filesAt(runtime, directory, commit, dir)).map(partsOf);
  const names = new Set(inside.flatMap(([name = '', ...rest]) => (rest.length === 0 ? [] : [name])));
  const plain = (await plainFilesAt(runtime, directory, commit, dir)).map(partsOf);
  const direct = plain.flatMap(([name = '', ...rest]) => (rest.length === 0 ? [name] : []));
  const under = (name: string) => join(dir, name);
  return problemsOf(
    { unknown: unknownFolders([...names]).map(under), noFolders: foldersOfHooks(direct).map(under) },
    ` of ${label}`,
  );
}

/** Only what we apply one by one can have hooks around each. */
function uncalled(directory: string, config: Config): Problem[] {
  const { prisma } = config;
  const reasons = [
    ...(prisma?.deploy === 'holdfast'
      ? []
      : [['migration', 'migrate-schema', 'Prisma does not apply the schema migrations here'] as const]),
    ...(prisma?.dataMigrations === undefined
      ? [['data-migration', 'migrate-data', 'no data migrations are configured'] as const]
      : []),
  ];
  return reasons.flatMap(([point, step, why]) =>
    (['before', 'after'] as const)
      .filter((when) => findHooks(directory, config, when, point).length > 0)
      .map((when) => ({
        path: join(hookSettings(config).dir, folderOf(when, point)),
        what: `${folderOf(when, point)} would never run: ${why}`,
        next: `use ${folderOf(when, step)}, which runs around all of them`,
      })),
  );
}
