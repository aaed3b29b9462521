import { verifyGate, verifyRelease, waitUntilHealthy } from '../appliance/health.ts';
import { isWorker, startOrder } from '../appliance/services.ts';
import type { Step } from '../pipeline/step.ts';
import { registryPath } from '../snapshot/registry.ts';
import { changedFiles } from '../tools/git-facts.ts';
import { shellWord } from '../lib/shell-word.ts';

export const verify: Step = {
  name: 'verify',
  title: 'Verify',
  async apply({ appliance, target, gate, signal, note, warn }) {
    for (const name of startOrder(target.config)) {
      const service = target.config.services[name];
      if (!service || isWorker(service)) continue;
      await waitUntilHealthy(appliance, name, service, { gate: gate(), signal, note });
      await verifyRelease(appliance, name, service, [target.commit], gate());
      await verifyGate(appliance, name, service);
    }
    // Some builds rewrite files that git tracks. The version runs; but the next update would find a changed checkout.
    const changed = await changedFiles(appliance.runtime, appliance.directory, registryPath(target.config));
    if (changed.length > 0) {
      warn(
        `installing or building changed ${changed.length} files that git tracks (${changed.slice(0, 3).join(', ')}): ` +
          `the next update and rollback are refused until they are put back: git -C ${shellWord(appliance.directory)} checkout -- .`,
      );
    }
    note(`${target.label} answers`);
  },
};
