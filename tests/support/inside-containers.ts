import { execa } from 'execa';
import { runMark } from '../../orchestrator/appliance/appliance.ts';
import { commandName, findByEnvironment, signalProcess } from '../../orchestrator/lib/processes.ts';
import { layoutOf } from '../../orchestrator/runtime/lxd/layout.ts';
import type { Place } from '../../orchestrator/runtime/runtime.ts';
import type { Ledger } from './ledger.ts';
import { lxc, lxdEnvironment } from './lxd-host.ts';

/* What a test sees of an appliance's containers, and does to them: by LXD's own client, and by nothing of Holdfast's. */

const places: readonly Place[] = ['postgres', 'backend', 'frontend'];

/** The names of its containers. */
export function containersOf(ledger: Ledger): Record<Place, string> {
  const { config } = ledger.open();
  return layoutOf(config.name, config.lxd).containers;
}

/**
 * What a command prints in one of them, whatever it exits with. LXD loses that now and then, with exit code 0: where its end is
 * missing the command is run again.
 */
export async function inside(ledger: Ledger, place: Place, ...argv: string[]): Promise<string> {
  const end = '\nthat was all';
  const command = ['sh', '-c', `"$@"; printf '${end}'`, 'sh', ...argv];
  for (let attempt = 1; ; attempt += 1) {
    const { stdout, exitCode, timedOut } = await execa(
      'lxc',
      ['exec', '-T', containersOf(ledger)[place], '--', ...command],
      // The client hangs now and then as well.
      { env: lxdEnvironment, reject: false, stdin: 'ignore', timeout: 120_000, killSignal: 'SIGKILL' },
    );
    if (stdout.endsWith(end)) return stdout.slice(0, -end.length).trimEnd();
    // Of a container that does not run nobody prints anything.
    if ((exitCode !== 0 && !timedOut) || attempt === 10) return stdout;
  }
}

/**
 * Programs that live inside and are no services: those of the units that runs start commands as, and what left them;
 * each with its place.
 */
export async function livingInside(ledger: Ledger): Promise<string[]> {
  const found: string[] = [];
  for (const place of places) {
    // A process that left its group stays in its unit; one that left its unit would be anywhere but in a service.
    const list = await inside(ledger, place, 'ps', 'axww', '-o', 'cgroup:200=,args=');
    for (const line of list.split('\n')) {
      const [, group = '', args = ''] = /^(\S+)\s+(.*)$/.exec(line.trim()) ?? [];
      if (group.includes('hf-run-') || /^(?:npm|sleep|\S*pg_dump|node \S*\.[jt]s|\S*\/node )/.test(args))
        if (!group.includes('/holdfast-')) found.push(`${place}: ${args}`);
    }
  }
  return found;
}

/** Each container's configuration and devices as LXD has them. */
export async function containerConfigurations(ledger: Ledger): Promise<string[]> {
  return await Promise.all(
    Object.values(containersOf(ledger)).map(async (name) => await lxc('config', 'show', name)),
  );
}

/** Through which the outside reaches it. */
export async function doorsOf(ledger: Ledger): Promise<string[]> {
  const found = await containerConfigurations(ledger);
  return found.flatMap((text) => text.match(/type: proxy/g) ?? []);
}

/** Whether its services run inside, by the word of systemd there. */
export async function unitStates(ledger: Ledger): Promise<Record<string, string>> {
  return {
    api: await inside(ledger, 'backend', 'systemctl', 'is-active', 'holdfast-api.service'),
    web: await inside(ledger, 'frontend', 'systemctl', 'is-active', 'holdfast-web.service'),
  };
}

/** Ends LXD's clients that a run has started on this machine, as a lack of memory would. Returns how many there were. */
export function killClients(ledger: Ledger): number {
  const appliance = ledger.open();
  const run = appliance.state.unfinishedRun() ?? 'none';
  const clients = findByEnvironment('HOLDFAST_RUN', runMark(appliance, run)).filter(
    (pid) => commandName(pid) === 'lxc',
  );
  for (const pid of clients) signalProcess(pid, 'SIGKILL');
  return clients.length;
}

/** As a host does that goes down: nothing of them is asked. */
export async function stopContainers(ledger: Ledger): Promise<void> {
  await lxc('stop', '--force', ...Object.values(containersOf(ledger)));
}

/** As a host does that comes up, and until what starts by itself inside has been started. */
export async function startContainers(ledger: Ledger): Promise<void> {
  await lxc('start', ...Object.values(containersOf(ledger)));
  for (const place of places) await inside(ledger, place, 'systemctl', 'is-system-running', '--wait');
}
