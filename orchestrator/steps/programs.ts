import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { Refusal } from '../lib/errors.ts';
import type { Runtime } from '../runtime/runtime.ts';

/** Programs that are needed, and the Debian package that brings each. */
const packages: Readonly<Record<string, string>> = {
  git: 'git',
  tar: 'tar',
  zstd: 'zstd',
  flock: 'util-linux',
  fallocate: 'util-linux',
  setpriv: 'util-linux',
  sync: 'coreutils',
  npm: 'npm',
};

function missingPrograms(config: Config): string[] {
  const needed = [
    'git',
    'tar',
    'zstd',
    'flock',
    'sync',
    'fallocate',
    ...(Object.keys(config.builds).length > 0 ? ['npm'] : []),
    ...config.requires.commands,
  ];
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return [...new Set(needed)].filter((name) => !folders.some((folder) => existsSync(join(folder, name))));
}

/** @throws Refusal that names every program that is missing, with the command that installs them */
export function verifyPrograms(config: Config): void {
  const missing = missingPrograms(config);
  if (missing.length === 0) return;
  const names = [...new Set(missing.map((name) => packages[name] ?? name))];
  throw new Refusal(
    `cannot go on without ${missing.join(', ')}: not installed, or not on PATH`,
    `sudo apt-get install -y ${names.join(' ')}`,
  );
}

/**
 * The same, but root on Debian or Ubuntu gets what is missing through apt, with a line that says so.
 *
 * @throws Refusal as above for anybody else
 */
export async function ensurePrograms(
  runtime: Runtime,
  config: Config,
  say: (line: string) => void,
): Promise<void> {
  const names = missingPrograms(config).map((name) => packages[name]);
  if (
    names.length > 0 &&
    process.getuid?.() === 0 &&
    existsSync('/usr/bin/apt-get') &&
    names.every((name) => name !== undefined)
  ) {
    const wanted = [...new Set(names)];
    say(`Installing ${wanted.join(', ')} with apt-get ...`);
    const addEnv = { DEBIAN_FRONTEND: 'noninteractive' };
    await runtime.run(
      { file: 'apt-get', args: ['update', '-qq'], addEnv, timeoutMs: 300_000 },
      { allowFailure: true },
    );
    await runtime.run(
      { file: 'apt-get', args: ['install', '-y', '-qq', ...wanted], addEnv, timeoutMs: 600_000 },
      { allowFailure: true },
    );
  }
  verifyPrograms(config);
}
