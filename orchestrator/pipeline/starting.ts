import type { Appliance } from '../appliance/appliance.ts';
import { openGate } from '../appliance/gate.ts';
import { verifyRelease, waitUntilHealthy } from '../appliance/health.ts';
import { doorsOf, isWorker, startOrder, startService } from '../appliance/services.ts';
import type { Config } from '../config/schema.ts';
import { messageOf } from '../lib/errors.ts';
import type { Target } from './step.ts';

/** Lifts fence and gate. May be run twice. */
export async function openToAll(appliance: Appliance, config: Config = appliance.config): Promise<void> {
  if (appliance.database) {
    await appliance.database.ensureRunning();
    await appliance.database.unfence();
  }
  openGate(appliance);
  await appliance.runtime.expose(doorsOf(config));
}

/** Starts services that do not run and waits until all of them are healthy and the right commit answers. */
export async function startAndVerify(
  appliance: Appliance,
  config: Config,
  version: { readonly commit: string; readonly label: string },
  options: {
    only?: ReadonlySet<string>;
    /** What else each service may answer as: what it was before, where the checkout had been moved by hand. */
    answered?: ReadonlyMap<string, string>;
    /** Hears of a service that answers as another commit, and the others are started all the same; else it throws. */
    onOther?: (message: string) => void;
    note?: (line: string) => void;
  } = {},
): Promise<void> {
  const database = (await appliance.database?.environment()) ?? {};
  const names = startOrder(config).filter((name) => options.only?.has(name) ?? true);
  for (const name of names) {
    const service = config.services[name];
    if (!service) continue;
    options.note?.(`starting ${name}`);
    await startService(appliance, name, { config, ...version, database });
    await waitUntilHealthy(appliance, name, service, options);
    if (isWorker(service)) continue;
    const other = options.answered?.get(name);
    try {
      const right = [version.commit, ...(other === undefined ? [] : [other])] as const;
      await verifyRelease(appliance, name, service, right, undefined);
    } catch (error) {
      if (!options.onOther) throw error;
      options.onOther(messageOf(error));
    }
  }
}

/** Services that nobody can ask run from the commit on. */
export async function startWorkers(appliance: Appliance, target: Target): Promise<void> {
  const database = (await appliance.database?.environment()) ?? {};
  for (const name of startOrder(target.config)) {
    const service = target.config.services[name];
    if (service && isWorker(service))
      await startService(appliance, name, {
        config: target.config,
        commit: target.commit,
        label: target.label,
        database,
      });
  }
}
