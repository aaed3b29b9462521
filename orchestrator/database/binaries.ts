import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Refusal } from '../lib/errors.ts';
import type { Runtime } from '../runtime/runtime.ts';

const installedRoot = '/usr/lib/postgresql';

/**
 * The folder with all these programs: on PATH, else the newest under Debian's /usr/lib/postgresql, which is not on
 * PATH there. `pg_dump` must not be older than the server, so newest first.
 */
export function findPostgresBinaries(programs: readonly string[], minimumMajor = 0): string | undefined {
  const versions = existsSync(installedRoot)
    ? readdirSync(installedRoot)
        .filter((name) => /^\d+$/.test(name) && Number(name) >= minimumMajor)
        .toSorted((a, b) => Number(b) - Number(a))
        .map((name) => join(installedRoot, name, 'bin'))
    : [];
  const onPath =
    minimumMajor === 0 ? (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '') : [];
  return [...versions, ...onPath].find((folder) =>
    programs.every((program) => existsSync(join(folder, program))),
  );
}

/** A server of one major version must be started by binaries of that version. */
export function findServerBinaries(clusterMajor: number | undefined): string | undefined {
  const programs = ['postgres', 'initdb', 'pg_dump', 'pg_restore', 'psql'];
  if (clusterMajor === undefined) return findPostgresBinaries(programs);
  const exact = join(installedRoot, String(clusterMajor), 'bin');
  return programs.every((program) => existsSync(join(exact, program)))
    ? exact
    : findPostgresBinaries(programs);
}

/**
 * Makes sure that PostgreSQL is installed. Root on Debian or Ubuntu gets it through apt, with a line that says so;
 * anybody else is told what to type.
 *
 * @throws Refusal with that command
 */
export async function ensurePostgresInstalled(runtime: Runtime, say: (line: string) => void): Promise<void> {
  if (findServerBinaries(undefined)) return;
  const fix = isDebian()
    ? 'sudo apt-get install -y postgresql'
    : 'install the PostgreSQL server (13 or later), with its programs on PATH';
  if (process.getuid?.() !== 0 || !isDebian()) {
    throw new Refusal('cannot set up the database: no PostgreSQL server is installed', fix);
  }
  say('PostgreSQL is not installed: installing it with apt-get ...');
  // Debian would create and start a cluster of its own on port 5432, which nobody asked for.
  mkdirSync('/etc/postgresql-common/createcluster.d', { recursive: true });
  writeFileSync('/etc/postgresql-common/createcluster.d/holdfast.conf', 'create_main_cluster = false\n');
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await runtime.run(
    { file: 'apt-get', args: ['update', '-qq'], addEnv: env, timeoutMs: 300_000 },
    { allowFailure: true },
  );
  await runtime.run({
    file: 'apt-get',
    args: ['install', '-y', '-qq', 'postgresql'],
    addEnv: env,
    timeoutMs: 900_000,
  });
  if (!findServerBinaries(undefined))
    throw new Refusal('cannot set up the database: apt-get installed no PostgreSQL server', fix);
}

function isDebian(): boolean {
  return existsSync('/usr/bin/apt-get') && existsSync('/etc/debian_version');
}

/** The user that the embedded server runs as: ourselves, or as root an unprivileged one, since it refuses root. */
export function serverUser(): { name: string; uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const entry = users.find((fields) => fields[0] === name);
    if (entry) return { name, uid: Number(entry[2]), gid: Number(entry[3]) };
  }
  throw new Refusal(
    'cannot run the database as root, and there is no user postgres or nobody',
    'useradd --system postgres',
  );
}
