import { verifyGate, verifyRelease, waitUntilHealthy } from '../appliance/health.ts';
import { isWorker, startOrder } from '../appliance/services.ts';
import type { Step } from '../pipeline/step.ts';

export const verify: Step = {
  name: 'verify',
  title: 'Verify',
  async apply({ appliance, target, gate, signal, note }) {
    for (const name of startOrder(target.config)) {
      const service = target.config.services[name];
      if (!service || isWorker(service)) continue;
      await waitUntilHealthy(appliance, name, service, { gate: gate(), signal, note });
      await verifyRelease(appliance, name, service, target.commit, gate());
      await verifyGate(appliance, name, service);
    }
    note(`${target.label} answers`);
  },
};
