import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { Refusal, UsageError } from '../lib/errors.ts';
import { LxdClient } from '../runtime/lxd/client.ts';
import { layoutOf, type Layout } from '../runtime/lxd/layout.ts';
import type { Place } from '../runtime/runtime.ts';

export interface Containers {
  readonly client: LxdClient;
  readonly layout: Layout;
}

/** @throws Refusal for an appliance that is in none */
export function containersOf(
  { config, runtime }: Pick<Appliance, 'config' | 'runtime'>,
  verb: string,
): Containers {
  if (config.runtime !== 'lxd')
    throw new Refusal(
      `cannot ${verb}: this appliance is not in containers, its services are processes of this machine`,
      './run.sh status shows them, ./run.sh logs SERVICE what they print',
    );
  return {
    client: new LxdClient(runtime, config.lxd.client, config.lxd.project),
    layout: layoutOf(config.name, config.lxd),
  };
}

/**
 * The container that somebody means, by the name of a service in it or by its own, and where its code lies.
 *
 * @throws UsageError with the names that there are
 */
export function findPlace({ config, directory }: Pick<Appliance, 'config' | 'directory'>, name: string) {
  const service = Object.hasOwn(config.services, name) ? config.services[name] : undefined;
  if (service) return { place: service.container, cwd: join(directory, service.dir) };
  const places: readonly Place[] = hasOwnDatabase(config)
    ? ['postgres', 'backend', 'frontend']
    : ['backend', 'frontend'];
  const place = places.find((one) => one === name);
  if (place === undefined) {
    const names = [...new Set([...Object.keys(config.services), ...places])].join(', ');
    throw new UsageError(`there is neither a service nor a container "${name}"`, `name one of ${names}`);
  }
  return { place, cwd: place === 'postgres' ? '/' : directory };
}

const hasOwnDatabase = ({ database }: Appliance['config']) =>
  database !== 'none' && 'embedded' in database && database.embedded === true;
