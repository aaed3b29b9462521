import { existsSync, globSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { verifyPortsAreOurs } from '../appliance/services.ts';
import { Refusal } from '../lib/errors.ts';
import { shellWord } from '../lib/shell-word.ts';
import type { Step, StepContext } from '../pipeline/step.ts';
import { verifyNoFailedMigration } from '../schema-migrations/pending.ts';
import { releaseReserves } from '../snapshot/reserve.ts';
import { productPaths } from '../snapshot/products.ts';
import { absoluteGitDirectory, changedFiles } from '../tools/git-facts.ts';
import { configValue } from '../tools/git.ts';
import { verifyPrograms } from './programs.ts';
import { verifySpace } from './space.ts';

/** Everything that can be refused is refused here, while the appliance serves and nothing has been touched. */
export const preflight: Step = {
  name: 'preflight',
  title: 'Check the appliance',
  async prepare(context) {
    const { appliance, target, note } = context;
    verifyPrograms(target.config);
    note('the checkout');
    await verifyCheckout(context);
    note('the services');
    await verifyPortsAreOurs(appliance, appliance.config);
    verifyOneFileSystem(context);
    if (appliance.database) {
      note('the database');
      await appliance.database.ensureRunning();
      verifyNoFailedMigration(await appliance.database.appliedMigrations());
      note('the way back');
      await appliance.database.proveWayBack(join(context.runFolder, 'schema.dump'));
    }
    note('room on the disks');
    // A power cut may have brought back what an earlier run had given back already.
    for (const id of appliance.state.runIds()) releaseReserves(appliance, id);
    await verifySpace(appliance);
  },
};

async function verifyCheckout({ appliance, origin }: StepContext): Promise<void> {
  const { runtime, directory } = appliance;
  const gitDirectory = await absoluteGitDirectory(runtime, directory);
  const locks = globSync(['*.lock', 'refs/heads/**/*.lock'], { cwd: gitDirectory });
  if (locks.length > 0) {
    throw new Refusal(
      `cannot go on: git left ${locks[0]} behind, or is at work in the checkout`,
      `wait for git to end; if none runs: rm ${join(gitDirectory, locks[0] ?? '')}`,
    );
  }
  const sparse = await runtime.run(configValue(directory, 'core.sparseCheckout'), { allowFailure: true });
  if (sparse.stdout.trim() === 'true')
    throw new Refusal(
      'cannot go on: the checkout is sparse, which is not supported yet',
      'git sparse-checkout disable',
    );
  const changed = await changedFiles(runtime, directory);
  if (changed.length > 0) {
    const shown = changed
      .slice(0, 5)
      .map((line) => `  ${line}`)
      .join('\n');
    throw new Refusal(
      `cannot go on: ${changed.length} tracked ${changed.length === 1 ? 'file was' : 'files were'} changed in the checkout (at ${origin.commit.slice(0, 7)}):\n${shown}`,
      `git -C ${shellWord(directory)} stash  (keeps them), or git -C ${shellWord(directory)} checkout -- .  (drops them)`,
    );
  }
}

/** Renames do not cross file systems: state, checkout and products must share one. */
function verifyOneFileSystem({ appliance }: StepContext): void {
  const state = statSync(appliance.state.path).dev;
  for (const path of [
    appliance.directory,
    ...productPaths(appliance.config).map((product) => join(appliance.directory, product)),
  ]) {
    if (existsSync(path) && statSync(path).dev !== state) {
      throw new Refusal(
        `cannot go on: ${path} and ${appliance.state.path} lie on different file systems, and what is moved aside must not be copied`,
        'set stateDirectory to a folder on the file system of the checkout',
      );
    }
  }
}
