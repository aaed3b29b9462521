import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { UsageError } from '../lib/errors.ts';
import { shellWord } from '../lib/shell-word.ts';
import type { Config } from './schema.ts';

/*
 * What an operator has decided for one machine. appliance.yaml is the vendor's and tracked by git, where a changed file
 * stops every update: so it lies in the state directory, and counts for every release that comes.
 */

/** The settings that a machine may have of its own. */
interface BoxSettings {
  readonly runtime?: Config['runtime'];
}

const pathIn = (stateDirectory: string) => join(stateDirectory, 'box.json');

/** A configuration with what this machine has decided otherwise. Throws UsageError for a file that cannot be read. */
export function withBoxSettings(config: Config, stateDirectory: string): Config {
  const { runtime } = readBoxSettings(stateDirectory);
  return runtime === undefined ? config : { ...config, runtime };
}

export function readBoxSettings(stateDirectory: string): BoxSettings {
  const path = pathIn(stateDirectory);
  if (!existsSync(path)) return {};
  try {
    const { runtime } = JSON.parse(readFileSync(path, 'utf8')) as BoxSettings;
    if (runtime === undefined || runtime === 'local' || runtime === 'lxd')
      return runtime === undefined ? {} : { runtime };
  } catch {
    // Told below: to go on without it could start a second appliance beside the first.
  }
  throw new UsageError(
    `cannot read ${path}, which says where this appliance runs`,
    `rm ${shellWord(path)}, then ./run.sh setup --runtime local or lxd, as it was before`,
  );
}

/** Replaces them. May be run twice. */
export function writeBoxSettings(stateDirectory: string, settings: BoxSettings): void {
  writeFileAtomic(pathIn(stateDirectory), `${JSON.stringify(settings)}\n`);
}
