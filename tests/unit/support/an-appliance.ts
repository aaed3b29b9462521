import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openAppliance, type Appliance } from '../../../orchestrator/appliance/appliance.ts';
import { place } from '../../../orchestrator/config/load.ts';
import { parseConfig } from '../../../orchestrator/config/parse.ts';
import type { Config } from '../../../orchestrator/config/schema.ts';
import { localRuntime } from '../../../orchestrator/runtime/local.ts';

/** The least that an appliance.yaml can say. */
export const least = { version: 1, name: 'shop', services: {} };

/** A parsed configuration; throws with its problems. */
export function configOf(more: Record<string, unknown> = {}): Config {
  const parsed = parseConfig({ ...least, ...more });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.config;
}

/** An appliance in `folder`/box, its program elsewhere; the folders exist and are empty. */
export function applianceIn(folder: string, more: Record<string, unknown> = {}): Appliance {
  const directory = join(folder, 'box');
  mkdirSync(directory, { recursive: true });
  const appliance = openAppliance(place(configOf(more), join(directory, 'appliance.yaml'), directory), {
    program: {
      version: 'test',
      home: join(folder, 'home'),
      runner: join(folder, 'runner'),
      node: process.execPath,
    },
    runtime: localRuntime,
  });
  appliance.state.ensure();
  return appliance;
}
