import type { Command } from '../runtime/runtime.ts';

/** Installs exactly what the lockfile says; what npm has in its cache is not asked for again. */
export function npmCi(directory: string): Command {
  return {
    file: 'npm',
    args: ['ci', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error', '--include=dev'],
    cwd: directory,
    label: `npm ci (${directory})`,
  };
}
