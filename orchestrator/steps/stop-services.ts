import { stopServices as stopAll } from '../appliance/services.ts';
import { Refusal } from '../lib/errors.ts';
import type { Step } from '../pipeline/step.ts';
import { registryPath } from '../snapshot/registry.ts';
import { changedFiles, readHead } from '../tools/git-facts.ts';

export const stopServices: Step = {
  name: 'stop-services',
  title: 'Stop the services',
  async apply({ appliance, origin, runId, note, warn }) {
    await stopAll(appliance, appliance.config, note);
    if (appliance.database) {
      note('keeping others out of the database');
      const warning = await appliance.database.fence(runId);
      if (warning !== undefined) warn(warning);
    }
    // Minutes may have passed since the preflight: somebody may have worked in the checkout meanwhile.
    const head = await readHead(appliance.runtime, appliance.directory);
    const changed = await changedFiles(
      appliance.runtime,
      appliance.directory,
      registryPath(appliance.config),
    );
    if (head.commit !== origin.commit || head.ref !== origin.ref || changed.length > 0) {
      throw new Refusal(
        'the checkout was changed while the update was being prepared',
        'see git status, then start the update again',
      );
    }
  },
};
