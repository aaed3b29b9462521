import { existsSync, lstatSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { verifyPortsAreFree, verifyPortsAreOurs } from '../appliance/services.ts';
import { Refusal } from '../lib/errors.ts';
import { canRenameBetween } from '../lib/mounts.ts';
import { whyUnmovable } from '../lib/unmovable.ts';
import type { Step, StepContext } from '../pipeline/step.ts';
import { verifyNoFailedMigration } from '../schema-migrations/pending.ts';
import { releaseReserves } from '../snapshot/reserve.ts';
import { productPaths } from '../snapshot/products.ts';
import { verifyRestorable } from '../snapshot/restorable.ts';
import { verifyCheckout } from '../tools/git-checkout.ts';
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
    await verifyCheckout(appliance.runtime, appliance.directory, context.origin.commit);
    note('the services');
    await verifyPortsAreOurs(appliance, appliance.config);
    await verifyPortsAreFree(appliance, appliance.config, target);
    note('the files');
    verifyOneFileSystem(context);
    await verifyRestorable(appliance);
    if (appliance.database) {
      note('the database');
      await appliance.database.ensureRunning();
      // A rollback is what mends a failed migration, and a database that cannot be read.
      if (!context.restoring) verifyNoFailedMigration(await appliance.database.appliedMigrations());
      note('the way back');
      if (!context.withoutSafety)
        await appliance.database.proveWayBack(join(context.runFolder, 'schema.dump'));
    }
    note('room on the disks');
    // A power cut may have brought back what an earlier run had given back already.
    for (const id of appliance.state.runIds()) releaseReserves(appliance, id);
    await verifySpace(appliance);
  },
};

/** Renames do not cross mounts: state, checkout and products must share one. */
function verifyOneFileSystem({ appliance }: StepContext): void {
  const { directory, config, state } = appliance;
  const products = productPaths(config).map((product) => join(directory, product));
  for (const path of [directory, ...products]) {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    // A link is moved as a link, wherever it leads to.
    const place = stat?.isSymbolicLink() ? dirname(path) : path;
    if (stat && !canRenameBetween(place, state.path)) {
      throw new Refusal(
        `cannot go on: ${path} and ${state.path} lie on different file systems (or mounts), and what is moved aside must not be copied`,
        'set stateDirectory to a folder on the file system of the checkout, and keep products from being mounts',
      );
    }
  }
  const unmovable = products
    .flatMap((path) => (existsSync(path) ? [path, dirname(path)] : []))
    .find((path) => whyUnmovable(path) !== undefined);
  if (unmovable !== undefined)
    throw new Refusal(
      `cannot go on: ${unmovable} is ${whyUnmovable(unmovable)}, and products are moved aside`,
      `mend that (lsattr -d shows it), then try again`,
    );
}
