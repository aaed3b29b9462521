import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { messageOf, Refusal } from '../../lib/errors.ts';
import type { LxdClient } from './client.ts';
import type { Layout } from './layout.ts';

/*
 * What containers are made of: Debian with systemd, the Node that runs Holdfast, and for the database PostgreSQL. The
 * base is taken from the configured remote, or built on this machine where none can be reached; the rest is installed
 * in a container of its own, which becomes the image.
 */

export type ImageKind = 'node' | 'postgres';

const packages: Readonly<Record<ImageKind, readonly string[]>> = {
  node: ['git', 'openssl', 'libstdc++6', 'libatomic1'],
  postgres: ['postgresql'],
};
const always = ['systemd-sysv', 'udev', 'dbus', 'ca-certificates', 'iproute2', 'procps', 'curl', 'bash'];

interface Making {
  readonly client: LxdClient;
  readonly layout: Layout;
  readonly say: (line: string) => void;
  /** The Node that the containers get, and the folder of its npm. */
  readonly node: string;
  /** Users that commands and services run as, by their numbers. */
  readonly users: readonly number[];
}

/**
 * @returns the fingerprint of an image of this kind, made where there is none yet: takes some minutes once
 * @throws Refusal where it can neither be fetched nor built
 */
export async function ensureImage(making: Making, kind: ImageKind): Promise<string> {
  const { client, node, users, layout } = making;
  const of = JSON.stringify([
    2,
    kind,
    packages,
    always,
    kind === 'node' && realpathSync(node),
    users,
    layout.image,
  ]);
  const alias = `holdfast-${kind}-${createHash('sha256').update(of).digest('hex').slice(0, 12)}`;
  const known = async () => (await client.read<{ target: string }>(`images/aliases/${alias}`))?.target;
  const there = await known();
  if (there !== undefined) return there;
  await ensureBase(making);
  await provision(making, kind, alias);
  const made = await known();
  if (made === undefined) throw new Error(`the image ${alias} is not there after it was made`);
  return made;
}

const base = 'holdfast-debian-12';

async function ensureBase({ client, layout, say }: Making): Promise<void> {
  if (await client.read(`images/aliases/${base}`)) return;
  try {
    say(`fetching the image ${layout.image} ...`);
    await client.machine.run({
      ...client.command(['image', 'copy', layout.image, 'local:', '--alias', base]),
      timeoutMs: 900_000,
    });
    return;
  } catch (error) {
    say(
      `${layout.image} cannot be had (${messageOf(error).split('\n').at(-1) ?? ''}): building it with debootstrap ...`,
    );
  }
  if (process.getuid?.() !== 0)
    throw new Refusal(
      `cannot build an image: ${layout.image} cannot be had, and to build one with debootstrap takes root`,
      'name an image that is there under lxd.image in appliance.yaml; or have root make it, once for all, in a clone of its own and not in this one: ./run.sh setup, then ./run.sh destroy, which leaves the image',
    );
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-image-'));
  try {
    await bootstrap(client, folder, layout.mirror);
    await client.machine.run({
      ...client.command(['image', 'import', join(folder, 'image.tar'), '--alias', base]),
      timeoutMs: 600_000,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function bootstrap({ machine }: LxdClient, folder: string, mirror: string): Promise<void> {
  const root = join(folder, 'rootfs');
  await machine.run({
    file: 'debootstrap',
    args: ['--variant=minbase', `--include=${always.join(',')}`, 'bookworm', root, mirror],
    timeoutMs: 1_200_000,
  });
  // A name that the template gives, and an address by the network's own DHCP.
  rmSync(join(root, 'etc/hostname'), { force: true });
  rmSync(join(root, 'etc/resolv.conf'), { force: true });
  writeFileSync(join(root, 'etc/systemd/network/eth0.network'), '[Match]\nName=eth0\n[Network]\nDHCP=yes\n');
  await machine.run({ file: 'chroot', args: [root, 'systemctl', 'enable', 'systemd-networkd'] });
  writeFileSync(
    join(folder, 'metadata.yaml'),
    `architecture: ${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}
creation_date: ${Math.floor(Date.now() / 1000)}
properties: { description: Debian 12 for Holdfast, os: debian, release: bookworm }
templates:
  /etc/hostname: { when: [create, copy, rename], template: hostname.tpl }
  /etc/hosts: { when: [create, copy, rename], template: hosts.tpl }
`,
  );
  await machine.run({ file: 'mkdir', args: [join(folder, 'templates')] });
  writeFileSync(join(folder, 'templates/hostname.tpl'), '{{ container.name }}\n');
  writeFileSync(join(folder, 'templates/hosts.tpl'), '127.0.0.1 localhost\n127.0.1.1 {{ container.name }}\n');
  await machine.run({
    file: 'tar',
    args: ['-c', '-f', join(folder, 'image.tar'), '-C', folder, 'metadata.yaml', 'templates', 'rootfs'],
    timeoutMs: 600_000,
  });
}

/** In a container that becomes the image. One that a killed setup left behind is made anew. */
async function provision(
  { client, layout, say, node, users }: Making,
  kind: ImageKind,
  alias: string,
): Promise<void> {
  const name = `holdfast-making-${kind}`;
  say(`making the image for ${kind === 'node' ? 'backend and frontend' : 'the database'} ...`);
  const { machine } = client;
  const remove = async () => {
    if (await client.read(`instances/${name}`))
      await machine.run(client.command(['delete', '--force', name]));
  };
  await remove();
  try {
    const root = { type: 'disk', path: '/', pool: layout.pool };
    const eth0 = { type: 'nic', network: layout.network, name: 'eth0' };
    const source = { type: 'image', alias: base };
    await client.change('POST', 'instances', { name, profiles: [], devices: { root, eth0 }, source });
    await client.change('PUT', `instances/${name}/state`, { action: 'start', timeout: 60 });
    const certificates = '/usr/local/share/ca-certificates';
    if (existsSync(certificates)) await copyInto(client, name, certificates, dirname(certificates));
    await machine.run({
      ...client.exec(name, ['/bin/sh', '-c', installer, 'sh', ...always, ...packages[kind]]),
      label: 'installation of packages',
      timeoutMs: 900_000,
    });
    for (const uid of users.filter((one) => one !== 0))
      await machine.run(
        client.exec(name, [
          '/bin/sh',
          '-c',
          'getent passwd "$1" >/dev/null || useradd --uid "$1" --create-home "app$1"',
          'sh',
          String(uid),
        ]),
      );
    if (kind === 'node') await installNode(client, name, node);
    await client.change('PUT', `instances/${name}/state`, { action: 'stop', timeout: 60 });
    await machine.run({
      ...client.command(['publish', name, '--alias', alias, '--compression', 'none']),
      timeoutMs: 600_000,
    });
  } finally {
    await remove();
  }
}

const installer = `set -eu
export DEBIAN_FRONTEND=noninteractive
for i in $(seq 100); do [ -n "$(ip -4 route show default)" ] && break; sleep 0.1; done
[ -s /etc/resolv.conf ] || ip -4 route show default | sed -n 's/^default via \\([0-9.]*\\).*/nameserver \\1/p' >/etc/resolv.conf
update-ca-certificates >/dev/null 2>&1 || :
mkdir -p /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/holdfast.conf
apt-get update -qq
apt-get install -y -qq --no-install-recommends "$@" >/dev/null
apt-get clean`;

/** Node, its npm, and what npm has to know of this machine's network. */
async function installNode(client: LxdClient, name: string, node: string): Promise<void> {
  const { machine } = client;
  const program = realpathSync(node);
  await copyInto(client, name, program, '/usr/local/bin');
  const { stdout: npm } = await machine.run({
    file: 'sh',
    args: ['-c', 'readlink -f -- "$(command -v npm)"'],
  });
  // .../npm/bin/npm-cli.js
  await copyInto(client, name, dirname(dirname(npm.trim())), '/usr/local/lib/node_modules');
  const settings = await npmSettings(client);
  await machine.run({
    ...client.exec(name, [
      '/bin/sh',
      '-c',
      `set -eu
chmod 755 /usr/local/bin/node
for one in npm npx; do ln -sf "../lib/node_modules/npm/bin/$one-cli.js" "/usr/local/bin/$one"; done
mkdir -p /usr/local/etc
cat >/usr/local/etc/npmrc
node --version >/dev/null && npm --version >/dev/null`,
    ]),
    input: settings,
    label: 'installation of Node',
    timeoutMs: 60_000,
  });
}

/** Node knows no certificates but its own; passwords are the operator's, and stay on this machine. */
async function npmSettings({ machine }: LxdClient): Promise<string> {
  const lines = ['cafile=/etc/ssl/certs/ca-certificates.crt\n'];
  for (const key of ['registry', 'proxy', 'https-proxy']) {
    const { stdout } = await machine.run(
      { file: 'npm', args: ['config', 'get', key] },
      { allowFailure: true },
    );
    const value = stdout.trim();
    if (!['', 'null', 'undefined'].includes(value)) lines.push(`${key}=${value}\n`);
  }
  return lines.join('');
}

/** A file or a folder of this machine into a folder of the container, with what links lead to. */
async function copyInto(client: LxdClient, name: string, from: string, into: string): Promise<void> {
  const { file, args } = client.exec(name, [
    '/bin/sh',
    '-c',
    'mkdir -p "$1" && exec tar -x -C "$1"',
    'sh',
    into,
  ]);
  const pipe =
    'set -o pipefail; from=$1 what=$2; shift 2; tar -c --owner=0 --group=0 -C "$from" -- "$what" | "$@"';
  await client.machine.run({
    file: 'bash',
    args: ['-c', pipe, 'bash', dirname(from), basename(from), file, ...args],
    label: `copy of ${from}`,
    timeoutMs: 300_000,
  });
}
