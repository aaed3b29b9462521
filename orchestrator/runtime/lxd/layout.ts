import { createHash } from 'node:crypto';
import type { LxdConfig } from '../../config/lxd-schema.ts';
import type { Place } from '../runtime.ts';

/** What an appliance consists of in LXD: the names of everything, and its addresses. */
export interface Layout {
  readonly appliance: string;
  readonly project: string;
  readonly pool: string;
  readonly poolSize: string;
  readonly network: string;
  /** The volume with the database's data. */
  readonly volume: string;
  readonly image: string;
  /** Where Debian's packages come from. */
  readonly mirror: string;
  readonly containers: Readonly<Record<Place, string>>;
}

/** Interface names end at 15 characters: of a long name a part that is its own. */
const bridgeOf = (appliance: string) =>
  appliance.length <= 12
    ? `hf-${appliance}`
    : `hf-${createHash('sha256').update(appliance).digest('hex').slice(0, 12)}`;

export function layoutOf(appliance: string, lxd: LxdConfig): Layout {
  const { project, pool, poolSize, image, mirror, network = bridgeOf(appliance), containers } = lxd;
  return {
    ...{ appliance, project, pool, poolSize, image, mirror, network },
    volume: `${appliance}-postgres`,
    containers: {
      postgres: containers.postgres ?? `${appliance}-postgres`,
      backend: containers.backend ?? `${appliance}-backend`,
      frontend: containers.frontend ?? `${appliance}-frontend`,
    },
  };
}

/**
 * What a release must not change: its containers, network and rows would be looked for where they are not. Each with what
 * it was and what it would be.
 */
export function movesOf(from: Layout, to: Layout): [string, string, string][] {
  const named = ({ appliance, project, pool, network, containers }: Layout) => ({
    ...{ name: appliance, 'lxd.project': project, 'lxd.pool': pool, 'lxd.network': network },
    ...Object.fromEntries(
      Object.entries(containers).map(([place, name]) => [`lxd.containers.${place}`, name]),
    ),
  });
  const wanted = new Map(Object.entries(named(to)));
  return Object.entries(named(from)).map(([what, name]) => [what, name, wanted.get(what) ?? '']);
}

/** Where a place is in its appliance's network: the last part of its address. */
const hosts: Readonly<Record<Place, number>> = { postgres: 10, backend: 11, frontend: 12 };

/** @param gateway the network's own address, such as 10.83.0.1/24 */
export function addressOf(place: Place, gateway: string): string {
  return gateway.replace(/\.\d+\/\d+$/, `.${hosts[place]}`);
}

/**
 * A /24 for an appliance's network: by its name, so that the same appliance gets the same, and none that is in use.
 *
 * @param routes the routes of this machine, as `ip -4 route` prints them
 * @returns its first three numbers
 */
export function chooseSubnet(appliance: string, routes: string): string {
  const taken = rangesOf(routes);
  const [first = 0, second = 0] = createHash('sha256').update(appliance).digest();
  for (let step = 0; step < 64 * 256; step += 1) {
    const at = (first % 64) * 256 + second + step;
    const subnet = `10.${64 + (Math.floor(at / 256) % 64)}.${at % 256}`;
    const start = numberOf(`${subnet}.0`);
    if (!taken.some((range) => range.start < start + 256 && start < range.end)) return subnet;
  }
  throw new Error('every network from 10.64.0.0 to 10.127.255.0 is in use on this machine');
}

const numberOf = (address: string) => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);

/** Where routes lead. Not those as wide as all that there is to choose from: many a company routes the whole of 10. */
function rangesOf(routes: string): { start: number; end: number }[] {
  const form = /^(?:[a-z]+ )?(\d+\.\d+\.\d+\.\d+)(?:\/(\d+))?/gm;
  return [...routes.matchAll(form)].flatMap(([, address = '', bits = '32']) => {
    const start = numberOf(address);
    return Number(bits) <= 10 ? [] : [{ start, end: start + 2 ** (32 - Number(bits)) }];
  });
}
