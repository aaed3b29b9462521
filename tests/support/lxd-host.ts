import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa, execaSync } from 'execa';
import type { Config } from '../../orchestrator/config/schema.ts';
import { messageOf } from '../../orchestrator/lib/errors.ts';
import { localRuntime } from '../../orchestrator/runtime/local.ts';
import { LxdClient } from '../../orchestrator/runtime/lxd/client.ts';
import { chooseSubnet, layoutOf } from '../../orchestrator/runtime/lxd/layout.ts';
import { lastLines } from '../../orchestrator/runtime/runtime.ts';
import { destroyContainers } from '../../orchestrator/runtime/lxd/teardown.ts';

/*
 * LXD for tests: a daemon of our own, with a folder of its own, so that one that is on the machine already knows nothing of
 * it. It is started by hand: many machines for tests have no systemd.
 */

/** Short: the daemon's socket lies in it. */
const folder = process.env['HOLDFAST_TEST_LXD'] ?? `/var/tmp/holdfast-lxd-${process.getuid?.() ?? 0}`;

/** What clients need in their environment. */
export const lxdEnvironment = { LXD_DIR: folder };

/** For whoever works on the suite: the daemon and its images stay for the next time. */
export const isKept = process.env['HOLDFAST_TEST_KEEP_LXD'] === '1';

/** The storage pool of all test appliances. */
export const testPool = 'hf-test';

const has = (program: string) => execaSync('which', [program], { reject: false }).exitCode === 0;

/** What the suite starts, and the package that a clean Debian 12 gets it from. */
const programs = {
  lxd: 'lxd',
  lxc: 'lxd',
  debootstrap: 'debootstrap',
  'mkfs.btrfs': 'btrfs-progs',
  dnsmasq: 'dnsmasq-base',
  nft: 'nftables',
  iptables: 'iptables',
  ip: 'iproute2',
  ping: 'iputils-ping',
};

/**
 * Why LXD cannot run here; undefined if it does: a daemon has been started then, and has made a pool and a bridge. Installs
 * it where it may.
 */
export async function whyNoLxd(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'needs root, to start a daemon of LXD';
  const missing = () => Object.entries(programs).filter(([program]) => !has(program));
  if (missing().length > 0) {
    const packages = [...new Set(missing().map(([, name]) => name))].join(' ');
    if (!has('apt-get')) return `needs ${packages}, and there is no apt-get to install them`;
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    await execa('apt-get', ['update', '-qq'], { reject: false, env });
    const installed = await execa('apt-get', ['install', '-y', '-qq', ...packages.split(' ')], {
      ...{ reject: false, env },
    });
    if (missing().length > 0)
      return `needs ${packages}, which apt-get could not install: ${lastLines(installed.stderr, 1)}`;
  }
  const may = await execa('unshare', ['--mount', '--net', '--pid', '--fork', 'true'], { reject: false });
  if (may.exitCode !== 0) return 'needs a machine that may make namespaces: root of a container cannot';
  try {
    await startLxd();
    await tryOut();
    return undefined;
  } catch (error) {
    if (!isKept) await removeLxd();
    return `needs a machine that lets LXD work: ${lastLines(messageOf(error), 1)}`;
  }
}

/** Has the daemon make what an appliance needs of it, and takes that away again. @throws Error with its words */
async function tryOut(): Promise<void> {
  // A bridge is a thing of the whole machine, whoever's daemon makes it.
  const name = `hf-t${process.pid}`;
  const hasBtrfs = readFileSync('/proc/filesystems', 'utf8').includes('btrfs');
  await lxc('storage', 'create', name, ...(hasBtrfs ? ['btrfs', 'size=300MiB'] : ['dir']));
  await lxc('storage', 'delete', name);
  // One that LXD chooses is looked for by ping, which on some networks every address answers.
  const { stdout: routes } = await localRuntime.run({ file: 'ip', args: ['-4', 'route'] });
  const address = `ipv4.address=${chooseSubnet(name, routes)}.1/24`;
  await lxc('network', 'create', name, address, 'ipv4.nat=true', 'ipv6.address=none');
  await lxc('network', 'delete', name);
}

/** Starts the daemon, once. @throws Error with the end of its log */
export async function startLxd(): Promise<void> {
  if (isDaemon(daemonPid())) return;
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  const log = join(folder, 'daemon.log');
  const out = openSync(log, 'a');
  const daemon = spawn('lxd', ['--group', 'root', '--logfile', log], {
    env: { ...process.env, ...lxdEnvironment },
    detached: true,
    stdio: ['ignore', out, out],
  });
  daemon.unref();
  writeFileSync(pidFile, String(daemon.pid));
  const ready = await execa('lxd', ['waitready', '--timeout=60'], { env: lxdEnvironment, reject: false });
  if (ready.exitCode !== 0) throw new Error(`LXD does not start: ${readFileSync(log, 'utf8').slice(-2000)}`);
}

/** Ends the daemon as a service manager would on a crash, and starts it again, after a while. Containers live on. */
export async function restartLxd(signal: 'SIGKILL' | 'SIGTERM', awayMs = 0): Promise<void> {
  await endDaemon(signal);
  await new Promise((resolve) => setTimeout(resolve, awayMs));
  await startLxd();
}

/** Numbers are given out again: one of an earlier run may be anybody's. */
const isDaemon = (pid: number | undefined) =>
  pid !== undefined &&
  existsSync(`/proc/${pid}/cmdline`) &&
  readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(join(folder, 'daemon.log'));

const pidFile = join(folder, 'daemon.pid');
const daemonPid = () => (existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : undefined);

async function endDaemon(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const pid = daemonPid();
  if (pid === undefined || !isDaemon(pid)) return;
  try {
    process.kill(pid, signal);
    for (let round = 0; round < 600 && existsSync(`/proc/${pid}`); round += 1)
      await new Promise((resolve) => setTimeout(resolve, 50));
  } catch {
    // It is gone already.
  }
  rmSync(pidFile, { force: true });
}

/** Takes away everything: containers, networks, the pool, the daemon, its folder. */
export async function removeLxd(): Promise<void> {
  const lines = async (...args: string[]) => {
    const { stdout } = await execa('lxc', args, { env: lxdEnvironment, reject: false, stdin: 'ignore' });
    return stdout.split('\n').filter((line) => line !== '');
  };
  for (const name of await lines('list', '--format=csv', '--columns=n'))
    await lines('delete', '--force', name);
  for (const image of await lines('image', 'list', '--format=csv', '--columns=f'))
    await lines('image', 'delete', image);
  for (const line of await lines('network', 'list', '--format=csv')) {
    const [name = '', , managed] = line.split(',');
    if (managed === 'YES') await lines('network', 'delete', name);
  }
  for (const line of await lines('storage', 'list', '--format=csv')) {
    const [name = ''] = line.split(',');
    for (const volume of await lines('storage', 'volume', 'list', name, '--format=csv')) {
      const [type, volumeName = ''] = volume.split(',');
      if (type === 'custom') await lines('storage', 'volume', 'delete', name, volumeName);
    }
    await lines('storage', 'delete', name);
  }
  await endDaemon('SIGTERM');
  await execa('umount', ['--recursive', '--lazy', folder], { reject: false });
  for (const inside of ['devlxd', 'shmounts'])
    await execa('umount', ['--lazy', join(folder, inside)], { reject: false });
  rmSync(folder, { recursive: true, force: true });
}

/** Takes away what one appliance has of it. */
export async function removeContainersOf({ name, lxd }: Config): Promise<void> {
  const client = new LxdClient(localRuntime, lxd.client, lxd.project);
  await destroyContainers(client, layoutOf(name, lxd), () => {});
}

/** The client, for what a test does to containers by hand. */
export async function lxc(...args: string[]): Promise<string> {
  // Incus reads settings from an input that is no terminal, to its end.
  const { stdout } = await execa('lxc', args, { env: lxdEnvironment, stdin: 'ignore' });
  return stdout;
}
