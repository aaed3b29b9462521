import { isWorker, runningServices, startOrder, startService } from '../appliance/services.ts';
import { waitUntilHealthy } from '../appliance/health.ts';
import type { Step } from '../pipeline/step.ts';

export const restartServices: Step = {
  name: 'restart-services',
  title: 'Restart the services',
  async apply({ appliance, target, runId, gate, signal, note }) {
    await appliance.database?.admitServices();
    // The mark of the run's own sessions does not belong on a service that outlives it.
    const { PGAPPNAME: _, ...database } = (await appliance.database?.windowEnvironment(runId)) ?? {};
    const { config, commit, label } = target;
    const needed = new Set(Object.values(config.services).flatMap((service) => service.after));
    for (const name of startOrder(config)) {
      const service = config.services[name];
      if (!service || isWorker(service)) continue;
      if ((await runningServices(appliance, config)).includes(name))
        throw new Error(`service ${name} runs, though all were stopped`);
      note(`starting ${name}`);
      await startService(appliance, name, { config, commit, label, gate: gate(), database });
      if (needed.has(name)) {
        await waitUntilHealthy(
          appliance,
          name,
          { ...service, ...(service.health ? { health: { ...service.health, stableFor: 0 } } : {}) },
          { gate: gate(), signal, note },
        );
      }
    }
  },
};
