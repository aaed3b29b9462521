import { dirname } from 'node:path';
import { messageOf, Refusal } from '../../lib/errors.ts';
import { waitFor } from '../../lib/wait.ts';
import type { Door, Place, Runtime, ServiceHandle } from '../runtime.ts';
import { askInside } from './ask.ts';
import type { Instance, LxdClient } from './client.ts';
import { basePath, endUnits, runInside, unitPrefix } from './command.ts';
import { addressOf, type Layout } from './layout.ts';
import { lxdVolumes } from './volumes.ts';
import { prepareContainers, thawed } from './prepare.ts';
import { reserveInContainers } from './reserve.ts';
import { knownUnits, startUnit, stopUnit, unitState } from './services.ts';
import { glanceAtContainers, verifyContainers } from './verify.ts';

/** Proxy devices are named so: ours among those that an operator may have added. */
const doorPrefix = 'holdfast-door-';

/**
 * The appliance in containers: commands that name a place run in its container, services are units there, and the
 * outside reaches them by proxy devices. What names no place runs on this machine, as everywhere: git, tar, snapshots.
 */
export function lxdRuntime(
  client: LxdClient,
  layout: Layout,
  options: {
    /** Services run as this user of the containers. */
    readonly serviceUser: string;
    /** The file that is there while a run is open. */
    readonly unfinished: string;
    /** Where the outside comes in on this machine. */
    readonly listen: string;
    /** Where the containers have their Node. */
    readonly node: string;
    /** Whether the database is in a container, too. */
    readonly hasDatabase: boolean;
    /** Where it is noted which volume the database's data lie on. */
    readonly volumeFile: string;
    /** Where the definitions lie. */
    readonly definitions: string;
    readonly setUp: Runtime['setUp'];
    /** Makes ready what services write to. */
    readonly beforeStart: () => void;
  },
): Runtime {
  const places: readonly Place[] = options.hasDatabase
    ? ['postgres', 'backend', 'frontend']
    : ['backend', 'frontend'];
  const containerOf = (place: Place) => layout.containers[place];
  /** Where a service may be: where it belongs, or where an earlier release had it. */
  const containersOf = ({ inside }: ServiceHandle) =>
    inside === undefined ? [containerOf('backend'), containerOf('frontend')] : [containerOf(inside)];
  const instance = async (name: string) => await client.read<Instance>(`instances/${name}`);
  const change = async (name: string, devices: Instance['devices'], autostart: boolean) => {
    const there = await instance(name);
    if (!there) return;
    const kept = Object.entries(there.devices).filter(([device]) => !device.startsWith(doorPrefix));
    const wanted = { ...Object.fromEntries(kept), ...devices };
    const config = { ...there.config, 'boot.autostart': String(autostart) };
    if (JSON.stringify([wanted, config]) === JSON.stringify([there.devices, there.config])) return;
    await client.change('PUT', `instances/${name}`, { ...there, config, devices: wanted });
  };
  let gateway: string | undefined;
  return {
    ...client.machine,
    name: 'lxd',
    gate: 'address',
    node: options.node,
    setUp: options.setUp,
    reserve: reserveInContainers(client, places.map(containerOf)),
    ...(options.hasDatabase ? { volumes: lxdVolumes(client, layout, options.volumeFile) } : {}),
    // The operator's own environment is this machine's affair.
    environment: (nodePath) => ({
      ...{ PATH: `${dirname(nodePath)}:${basePath}`, LANG: 'C.UTF-8' },
      // What many servers listen at: nobody reaches a container's own loopback.
      HOST: '0.0.0.0',
    }),
    async run(command, runOptions) {
      return command.inside === undefined
        ? await client.machine.run(command, runOptions)
        : await runInside(client, containerOf(command.inside), command, runOptions);
    },
    async startService(service) {
      options.beforeStart();
      await startUnit(client, containerOf(service.inside ?? 'backend'), service, {
        user: options.serviceUser,
        unfinished: options.unfinished,
        description: `Holdfast: ${service.name} of ${layout.appliance}`,
      });
    },
    async stopService(service, policy) {
      for (const container of containersOf(service)) await stopUnit(client, container, service, policy);
    },
    async serviceState(service) {
      for (const container of containersOf(service)) {
        const state = await unitState(client, container, service.name);
        if (state.running) return state;
      }
      return { running: false };
    },
    async startedServices() {
      const found: string[] = [];
      for (const place of ['backend', 'frontend'] as const)
        found.push(...(await knownUnits(client, containerOf(place))));
      return [...new Set(found)];
    },
    async endRun(runId) {
      await untilAnswering(client);
      const statusOf = async (place: Place) => (await instance(containerOf(place)))?.status;
      for (const place of places)
        await thawed(client, containerOf(place), async () => {
          // In one that does not run nothing lives.
          if ((await statusOf(place)) === 'Running')
            await endUnits(client, containerOf(place), `${unitPrefix(runId)}-`);
        });
      // Last: what a frozen container holds would be seen from here, too, and could not be ended.
      return await client.machine.endRun(runId);
    },
    ask: async (url, asking) => await askInside(client, containerOf(asking.inside), url, asking),
    async addressOf(place) {
      // Asked for each command that the database's address is told: it stays as long as the network.
      const address = async () =>
        (await client.read<{ config: Record<string, string> }>(`networks/${layout.network}`))?.config[
          'ipv4.address'
        ];
      gateway ??= await address();
      if (gateway === undefined)
        throw new Refusal(`the network ${layout.network} is not there`, './run.sh setup makes it anew');
      return addressOf(place, gateway);
    },
    async expose(doors) {
      // LXD takes a second for each container that is given a door.
      await Promise.all(
        places.map(
          async (place) => await change(containerOf(place), doorDevices(doors, place, options.listen), true),
        ),
      );
    },
    async exposed() {
      const found: number[] = [];
      for (const place of places)
        for (const [device, { listen = '' }] of Object.entries(
          (await instance(containerOf(place)))?.devices ?? {},
        ))
          if (device.startsWith(doorPrefix)) found.push(Number(listen.slice(listen.lastIndexOf(':') + 1)));
      return found;
    },
    async conceal() {
      await Promise.all(places.map(async (place) => await change(containerOf(place), {}, false)));
    },
    verify: async () => await verifyContainers({ client, layout, places }),
    glance: async () => await glanceAtContainers({ client, layout, places }),
    prepare: async (only) => {
      await prepareContainers({
        client,
        layout,
        definitions: options.definitions,
        places: only === undefined ? places : [only],
      });
    },
  };
}

/** A daemon that has crashed, or is being updated, is started again by its service manager. */
async function untilAnswering(client: LxdClient): Promise<void> {
  let last: unknown;
  const isThere = async () =>
    await client.read('').then(
      () => true,
      (error: unknown) => {
        // No daemon, or none that is ours to speak to, is no matter of time.
        if (!/does not answer|unix\.socket|websocket|EOF|shutting down|starting/i.test(messageOf(error)))
          throw error;
        last = error;
        return undefined;
      },
    );
  if ((await waitFor(isThere, { timeoutMs: 60_000, everyMs: 250 })) !== true) throw last;
}

function doorDevices(doors: readonly Door[], place: Place, listen: string): Instance['devices'] {
  return Object.fromEntries(
    doors
      .filter((door) => door.inside === place)
      .map(({ service, port }) => [
        `${doorPrefix}${service}`,
        { type: 'proxy', listen: `tcp:${listen}:${port}`, connect: `tcp:127.0.0.1:${port}`, bind: 'host' },
      ]),
  );
}
