import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { readBoxSettings, writeBoxSettings } from '../config/box-settings.ts';
import { parseConfigText } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { Refusal } from '../lib/errors.ts';
import { readSetup } from '../pipeline/setup-progress.ts';

type Kind = Config['runtime'];

/**
 * Remembers where this machine is to run its appliance, as `setup --runtime` says. May be run twice.
 *
 * @returns true if that is another place than before: then the appliance has to be opened anew
 * @throws Refusal where it runs elsewhere already: its data would stay there, and an empty one be started beside it
 */
export function chooseRuntime({ state, config, stateDirectory }: Appliance, wanted: Kind): boolean {
  if (wanted !== config.runtime) {
    if (state.isInstalled())
      throw new Refusal(
        `cannot set up ${where(wanted)}: this appliance is set up ${where(config.runtime)}, with its data`,
        'in a checkout of its own, as for a new host: docs/OPERATING.md, "Moving to a new host"',
      );
    if (
      readSetup(state) !== undefined &&
      (config.runtime === 'lxd' || existsSync(join(state.postgres, 'cluster')))
    )
      throw new Refusal(
        `cannot set up ${where(wanted)}: a setup ${where(config.runtime)} was begun in this checkout`,
        config.runtime === 'lxd'
          ? './run.sh destroy takes the containers away; then try again'
          : './run.sh setup --runtime local goes on with it; or begin in a fresh clone',
      );
  }
  state.ensure();
  writeBoxSettings(stateDirectory, { ...readBoxSettings(stateDirectory), runtime: wanted });
  return wanted !== config.runtime;
}

/**
 * What is set up stays where it is, whatever a later appliance.yaml says. May be run twice.
 *
 * @returns a line for the operator where that file says otherwise
 */
export function keepRuntime({ state, config, stateDirectory, file }: Appliance): string | undefined {
  state.ensure();
  const settings = readBoxSettings(stateDirectory);
  if (settings.runtime === undefined)
    writeBoxSettings(stateDirectory, { ...settings, runtime: config.runtime });
  const { runtime } = parseConfigText(readFileSync(file, 'utf8'), file);
  return runtime === config.runtime
    ? undefined
    : `runtime: ${config.runtime} on this machine, where it was set up; appliance.yaml says ${runtime}`;
}

const where = (kind: Kind) =>
  kind === 'lxd' ? 'in containers (runtime lxd)' : 'on this machine (runtime local)';
