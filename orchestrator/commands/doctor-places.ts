import { existsSync } from 'node:fs';
import { isAbsolute, relative, resolve } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { isIgnored } from '../tools/git-facts.ts';

/** What an update does not stumble over, but its operator may. */
export interface Warning {
  readonly warning: string;
  readonly next: string;
}

/** Our own folders in the checkout that git would show as untracked, and commit with the next `git add`. */
export async function findUnignored(appliance: Appliance): Promise<Warning | undefined> {
  const { directory, stateDirectory, backupsDirectory, runtime } = appliance;
  const inside = [stateDirectory, backupsDirectory]
    .map((path) => relative(directory, path))
    .filter((path) => path !== '' && !path.startsWith('..') && !isAbsolute(path));
  const shown: string[] = [];
  for (const path of inside) if (!(await isIgnored(runtime, directory, `${path}/`))) shown.push(`/${path}/`);
  if (shown.length === 0) return undefined;
  return {
    warning: `git does not ignore ${shown.join(' and ')}, which must never be committed`,
    next: `add ${shown.length === 1 ? 'this line' : 'these lines'} to .gitignore and publish it: ${shown.join('  ')}`,
  };
}

/** Data paths that are configured and not there: a typing error looks like this, too. */
export function findMissingData({ config, directory }: Appliance): Warning | undefined {
  const missing = config.data
    .filter(({ path }) => !existsSync(resolve(directory, path)))
    .map(({ path }) => `"${path}"`);
  if (missing.length === 0) return undefined;
  return {
    warning: `${missing.join(' and ')} ${missing.length === 1 ? 'does' : 'do'} not exist, so nothing is backed up from there`,
    next: 'create it, or mend "data" in appliance.yaml',
  };
}
