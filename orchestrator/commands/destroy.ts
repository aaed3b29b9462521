import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { removeSharedLink } from '../database/socket-folder.ts';
import { removeDurably } from '../lib/atomic-file.ts';
import { exitCodes, Refusal } from '../lib/errors.ts';
import { removeTree } from '../lib/remove-tree.ts';
import { shellWord } from '../lib/shell-word.ts';
import { forgetSetup } from '../pipeline/setup-progress.ts';
import { destroyContainers, findRemains } from '../runtime/lxd/teardown.ts';
import { holdsDump } from '../snapshot/manifest.ts';
import { listSnapshots } from '../snapshot/store.ts';
import { containersOf } from './find-container.ts';
import { locked } from './locked.ts';
import type { Session } from './session.ts';

/**
 * Takes away everything that `setup` made outside of the checkout, and forgets that it was set up. The checkout with its
 * files and the backups stay. May be run twice.
 */
export async function destroy(session: Session): Promise<number> {
  return await locked(session, 'destroy', async ({ appliance }) => {
    const { ui } = session;
    const { client, layout } = containersOf(appliance, 'destroy');
    const { config, state, backupsDirectory } = appliance;
    const snapshots = listSnapshots(backupsDirectory).flatMap(({ id, manifest }) =>
      manifest ? [{ id, manifest }] : [],
    );
    const isWhole = ({ manifest }: (typeof snapshots)[number]) =>
      manifest.database === undefined || holdsDump(manifest);
    const newest = snapshots.find(isWhole);
    // Its database is only a copy on the pool yet.
    const lost = snapshots.filter((one) => !isWhole(one)).map(({ id }) => id);
    const back =
      newest === undefined
        ? './run.sh setup begins anew, with an empty database'
        : `./run.sh setup, then ./run.sh rollback ${shellWord(newest.id)} brings the data of that backup back`;
    const remains = await findRemains(client, layout);
    if (remains.length === 0 && !state.isInstalled()) {
      ui.result(
        { type: 'result', ok: true, exitCode: exitCodes.ok, command: 'destroy', removed: [] },
        `Nothing of ${config.name} is there any more.\n  Next: ${back}`,
      );
      return exitCodes.ok;
    }
    const answer = await ui.ask(
      `This takes away ${remains.join(', ')}: the database with all its rows. ${
        newest === undefined
          ? 'There is NO backup of them.'
          : `The newest backup is ${newest.id}, of ${newest.manifest.createdAt}; the backups stay.`
      }${lost.length === 0 ? '' : ` NOT the database of ${lost.join(', ')}: no dump of it was made yet.`}\nType ${config.name} to go on: `,
    );
    if (answer !== config.name)
      throw new Refusal(
        answer === undefined
          ? 'cannot destroy: nobody is there to type the name'
          : 'cannot destroy: that is not the name. Nothing was changed',
        './run.sh destroy at a terminal, and type the name of the appliance',
      );
    // Should it be interrupted, nothing takes what is left for an appliance that is whole.
    if (state.isInstalled()) removeDurably(state.installed);
    await destroyContainers(client, layout, (line) => ui.say(line));
    removeSharedLink(join(state.postgres, 'socket'));
    if (existsSync(state.postgres)) removeTree(state.postgres);
    forgetSetup(state);
    ui.result(
      { type: 'result', ok: true, exitCode: exitCodes.ok, command: 'destroy', removed: remains },
      `Gone. The checkout and the backups in ${backupsDirectory} stay.\n  Next: ${back}`,
    );
    return exitCodes.ok;
  });
}
