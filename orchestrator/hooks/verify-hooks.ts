import type { Appliance } from '../appliance/appliance.ts';
import type { Config } from '../config/schema.ts';
import { Refusal } from '../lib/errors.ts';
import type { Origin, Target } from '../pipeline/step.ts';
import { filesAt, plainFilesAt } from '../tools/git-facts.ts';
import {
  findHookProblems,
  findHooks,
  foldersOfHooks,
  hookSettings,
  knownPoints,
  unknownFolders,
} from './find-hooks.ts';

/**
 * Looks whether every hook that lies there would run: those of the checkout, and those that a target brings.
 *
 * @returns what is to be told: files that are not executable, which is how a hook is switched off
 * @throws Refusal for a folder that nothing calls, most often a misspelled step, and for a file in the place of a folder
 */
export async function verifyHooks(
  { runtime, directory, config }: Pick<Appliance, 'runtime' | 'directory' | 'config'>,
  update?: { readonly origin: Pick<Origin, 'commit'>; readonly target: Target },
): Promise<string | undefined> {
  const { unknown, notExecutable, noFolders } = findHookProblems(directory, config);
  refuseUnknown(unknown, 'rename it, or take it away');
  refuseNoFolder(noFolders, 'make it a folder with the executable in it, or take it away');
  for (const point of ['migration', 'data-migration'] as const)
    for (const when of ['before', 'after'] as const)
      if (findHooks(directory, config, when, point).length > 0) refuseUncalled(config, when, point);
  if (update && update.target.commit !== update.origin.commit) {
    const { target } = update;
    const { dir } = hookSettings(target.config);
    const paths = await filesAt(runtime, directory, target.commit, dir);
    const partsOf = (path: string) => path.slice(dir.length + 1).split('/');
    const inside = paths.map(partsOf);
    const names = new Set(inside.flatMap(([name = '', ...rest]) => (rest.length === 0 ? [] : [name])));
    refuseUnknown(
      unknownFolders([...names]).map((name) => `${dir}/${name} of ${target.label}`),
      rightRelease,
    );
    const plain = (await plainFilesAt(runtime, directory, target.commit, dir)).map(partsOf);
    const direct = plain.flatMap(([name = '', ...rest]) => (rest.length === 0 ? [name] : []));
    refuseNoFolder(
      foldersOfHooks(direct).map((name) => `${dir}/${name} of ${target.label}`),
      rightRelease,
    );
  }
  return notExecutable.length === 0
    ? undefined
    : `not executable, so not run as a hook: ${notExecutable.join(', ')}`;
}

const rightRelease = 'ask the vendor for a release that has it right';

function refuseNoFolder([first]: readonly string[], next: string): void {
  if (first === undefined) return;
  throw new Refusal(`cannot go on: ${first} is no folder, so it would never run`, next);
}

function refuseUnknown([first]: readonly string[], next: string): void {
  if (first === undefined) return;
  throw new Refusal(
    `cannot go on: nothing calls ${first}, so what is in there would never run; there are before- and after- of ${knownPoints}, each ending in .d`,
    next,
  );
}

/** Only what we apply one by one can have hooks around each. */
function refuseUncalled({ prisma }: Config, when: string, point: 'migration' | 'data-migration'): void {
  const isOurs = point === 'migration' ? prisma?.deploy === 'holdfast' : prisma?.dataMigrations !== undefined;
  if (isOurs) return;
  throw new Refusal(
    `cannot go on: ${when}-${point}.d would never run: ${
      point === 'migration'
        ? 'Prisma does not apply the schema migrations here'
        : 'no data migrations are configured'
    }`,
    `use ${when}-${point === 'migration' ? 'migrate-schema' : 'migrate-data'}.d, which runs around all of them`,
  );
}
