import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { Refusal } from '../lib/errors.ts';
import type { Register } from '../main.ts';
import { readChoice } from '../pipeline/after-run.ts';
import { describeSetAside, measureSetAside } from '../pipeline/set-aside.ts';
import { rollbackSteps } from '../pipeline/steps.ts';
import { readOrigin } from '../pipeline/target.ts';
import { chooseByName, chooseForRollback, chooseForUndo } from '../snapshot/choose.ts';
import type { VerifiedManifest } from '../snapshot/manifest.ts';
import { missingProducts } from '../snapshot/products.ts';
import { describeRoots } from '../snapshot/roots.ts';
import { verifySnapshot } from '../snapshot/store.ts';
import { locked, type Locked } from './locked.ts';
import { runAndTell } from './run-and-tell.ts';
import type { Session } from './session.ts';

interface RollbackOptions {
  readonly undo?: boolean;
}

export const registerRollback: Register = (program, act) => {
  program
    .command('rollback')
    .argument('[snapshot]', 'its id or name; without it, the newest one of another version')
    .description('bring back the version and the data of a snapshot; what is there now is backed up first')
    .option('--undo', 'take the last rollback back')
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
          ),
      ),
    );
};

async function rollback(
  session: Session,
  { appliance, signals }: Locked,
  name: string | undefined,
  options: RollbackOptions,
): Promise<number> {
  const { ui } = session;
  const origin = await readOrigin(appliance);
  const choice = await readChoice(appliance);
  const chosen =
    name !== undefined
      ? chooseByName(choice, name)
      : options.undo
        ? chooseForUndo(choice)
        : chooseForRollback(choice);
  ui.say(`Checking snapshot ${chosen.id} ...`);
  const manifest = await verifySnapshot(chosen.folder);
  const missing = missingProducts(appliance, manifest.products);
  if (missing.length > 0) {
    throw new Refusal(
      `cannot roll back to ${chosen.id}: ${missing.join(', ')} of that version are not kept any more, and building them anew is not supported yet`,
      `choose another snapshot (./run.sh backup list), or follow ${join(chosen.folder, 'RESTORE.md')}`,
    );
  }
  if (manifest.ref !== origin.ref)
    throw new Refusal(
      `cannot roll back to ${chosen.id}: it was made on ${manifest.ref ?? 'a detached HEAD'}, the checkout is on ${origin.ref ?? 'a detached HEAD'}`,
    );
  verifyRootsAreOurs(appliance, manifest);
  await appliance.database?.ensureRunning();
  const setAside = await measureSetAside(appliance, manifest, chosen.folder);
  ui.print(
    `Rolling back ${origin.label} -> ${manifest.label}, as it was at ${manifest.createdAt}.\nThis sets aside ${describeSetAside(setAside)}.\nIt is backed up first; ./run.sh rollback --undo brings it back.`,
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
      steps: rollbackSteps,
      origin,
      target: { commit: manifest.commit, label: manifest.label, config: manifest.configuration },
      snapshot: { kind: 'before-rollback' },
      restoring: { manifest, folder: chosen.folder },
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
