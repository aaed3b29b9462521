import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { messageOf, Refusal, UsageError } from '../lib/errors.ts';
import { shellWord } from '../lib/shell-word.ts';
import type { Register } from '../main.ts';
import { readChoice } from '../pipeline/after-run.ts';
import { describeSetAside, measureSetAside, type SetAside } from '../pipeline/set-aside.ts';
import { rebuildingRollbackSteps, rollbackSteps } from '../pipeline/steps.ts';
import { readOrigin } from '../pipeline/target.ts';
import { chooseByName, chooseForRollback, chooseForUndo } from '../snapshot/choose.ts';
import type { VerifiedManifest } from '../snapshot/manifest.ts';
import { findMissingProducts } from '../snapshot/products.ts';
import { describeRoots } from '../snapshot/roots.ts';
import {
  adoptDatabase,
  bringBackLostEnv,
  verifyBelongsHere,
  verifyDatabaseUrls,
  verifyOrSuggest,
} from '../snapshot/way-back.ts';
import { locked, type Locked } from './locked.ts';
import { runAndTell } from './run-and-tell.ts';
import type { Session } from './session.ts';

interface RollbackOptions {
  readonly undo?: boolean;
  readonly rebuild?: boolean;
  readonly keepEnv?: boolean;
  /** commander's way: --without-safety. */
  readonly withoutSafety?: boolean;
}

export const registerRollback: Register = (program, act) => {
  program
    .command('rollback')
    .argument('[snapshot]', 'its id or name; without it, the newest one of another version')
    .description('bring back the version and the data of a snapshot; what is there now is backed up first')
    .option('--undo', 'take the last rollback back')
    .option(
      '--rebuild',
      'install and build that version anew, where its packages are not kept; needs the network',
    )
    .option('--keep-env', 'leave the env files as they are: for a database password that was changed since')
    .option('--without-safety', 'for a database that cannot be read: set it aside without backing it up')
    .addHelpText(
      'after',
      '\nWhat came after the snapshot is set aside, not lost: a snapshot of it is made first, and --undo takes that one.',
    )
    .action(
      act(
        async (session, snapshot: string | undefined, options: RollbackOptions) =>
          await locked(
            session,
            'rollback',
            async (state) => await rollback(session, state, snapshot, options),
            { lenient: true },
          ),
      ),
    );
};

/** @throws Refusal for a snapshot of another branch, which the rollback would move */
export function verifySameBranch(
  { id, ref }: Pick<VerifiedManifest, 'id' | 'ref'>,
  here: string | undefined,
) {
  if (ref === here) return;
  const word = (one: string | undefined) => one?.replace('refs/heads/', '') ?? 'a detached HEAD';
  throw new Refusal(
    `cannot roll back to ${id}: it was made on ${word(ref)}, the checkout is on ${word(here)}`,
    `git checkout ${ref === undefined ? '--detach' : `-B ${shellWord(word(ref))}`}, which leaves every file as it is, then try again`,
  );
}

async function rollback(
  session: Session,
  { appliance, signals }: Locked,
  name: string | undefined,
  options: RollbackOptions,
): Promise<number> {
  const { ui } = session;
  if (name !== undefined && options.undo === true)
    throw new UsageError('cannot roll back to a snapshot and undo at once', 'leave out one of the two');
  const origin = await readOrigin(appliance);
  const choice = await readChoice(appliance);
  const chosen =
    name !== undefined
      ? chooseByName(choice, name)
      : options.undo
        ? chooseForUndo(choice)
        : chooseForRollback(choice);
  ui.say(`Checking snapshot ${chosen.id} ...`);
  const verified = await verifyOrSuggest(choice, chosen);
  await verifyBelongsHere(appliance, chosen);
  verifySameBranch(verified, origin.ref);
  verifyRootsAreOurs(appliance, verified);
  const rebuild = verifyProducts(
    findMissingProducts(appliance)(verified),
    chosen.id,
    options.rebuild === true,
  );
  const lost = await bringBackLostEnv(appliance, verified, chosen.folder);
  if (lost.length > 0) ui.print(`${lost.join(', ')} was gone, and is back from ${chosen.id}.`);
  if (options.keepEnv !== true) await verifyDatabaseUrls(appliance, verified, chosen.folder);
  await appliance.database?.ensureRunning();
  const adopted = await adoptDatabase(appliance, verified, chosen.folder, (line) => ui.say(line));
  const setAside = await measureOrRefuse(appliance, adopted, chosen.folder, options.withoutSafety === true);
  ui.print(
    `Rolling back ${origin.label} -> ${verified.label}, as it was at ${verified.createdAt}.\nThis sets aside ${describeSetAside(setAside)}.\n${
      options.withoutSafety === true
        ? 'Files are backed up first; the DATABASE IS NOT, and --undo cannot bring it back.'
        : 'It is backed up first; ./run.sh rollback --undo brings it back.'
    }`,
  );
  if (!(await ui.confirm('Roll back?'))) {
    ui.result({ type: 'result', ok: true, exitCode: 0, outcome: 'declined' }, 'Nothing was changed.');
    return 0;
  }
  return await runAndTell(
    session,
    {
      appliance,
      signals,
      kind: 'rollback',
      steps: rebuild ? rebuildingRollbackSteps : rollbackSteps,
      origin,
      target: { commit: verified.commit, label: verified.label, config: verified.configuration },
      snapshot: { kind: 'before-rollback' },
      withoutSafety: options.withoutSafety === true,
      restoring: {
        // What is to be made anew is not looked for.
        manifest: rebuild ? { ...adopted, products: [] } : adopted,
        folder: chosen.folder,
        keep: options.keepEnv === true ? appliance.config.env.files : [],
      },
    },
    { snapshot: chosen.id, setAside, identical: true },
  );
}

/** A snapshot that came along with a copy of a checkout speaks of data folders that belong to the original. */
function verifyRootsAreOurs(appliance: Appliance, manifest: VerifiedManifest): void {
  const made = dirname(manifest.configurationFile);
  if (existsSync(made) && realpathSync(made) === realpathSync(appliance.directory)) return;
  const ours = describeRoots(appliance, appliance.config).map(({ root }) => root.path);
  const foreign = manifest.roots.find(({ name, path }) => name !== 'files' && !ours.includes(path));
  if (foreign === undefined) return;
  throw new Refusal(
    `cannot roll back to ${manifest.id}: it was made in ${made}, and holds ${foreign.path}, which belongs to the appliance there`,
    `choose a snapshot that was made here, or follow ${join(appliance.backupsDirectory, manifest.id, 'RESTORE.md')}`,
  );
}

/** True if everything is to be built anew. Throws Refusal if it must be, and nobody asked for that. */
function verifyProducts(missing: readonly string[], id: string, rebuild: boolean): boolean {
  if (missing.length === 0) return false;
  if (rebuild) return true;
  throw new Refusal(
    `cannot roll back to ${id} by renames alone: ${missing.join(', ')} of that version ${missing.length === 1 ? 'is' : 'are'} not kept here`,
    `./run.sh rollback ${id} --rebuild   (installs and builds that version anew; if it fails, all is as before)`,
  );
}

async function measureOrRefuse(
  appliance: Locked['appliance'],
  manifest: VerifiedManifest,
  folder: string,
  withoutDatabase: boolean,
): Promise<SetAside> {
  try {
    return await measureSetAside(appliance, manifest, folder, { withoutDatabase });
  } catch (error) {
    if (withoutDatabase || !appliance.database) throw error;
    throw new Refusal(
      `cannot back up what is there now: the database cannot be read: ${messageOf(error)}`,
      `./run.sh rollback ${manifest.id} --without-safety   (sets it aside as it is; --undo cannot bring it back)`,
      error,
    );
  }
}
