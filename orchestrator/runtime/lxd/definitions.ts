import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Place } from '../runtime.ts';
import type { Layout } from './layout.ts';

/** A definition as LXD's own interface takes it. */
export interface Definition {
  readonly [key: string]: unknown;
  readonly description: string;
  readonly config: Readonly<Record<string, string>>;
  readonly devices?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/**
 * Reads one of the definitions in lxd/, its `${placeholders}` filled.
 *
 * @param folder where they lie
 * @throws Error for a placeholder that nobody fills: a definition and this code that do not belong together
 */
export function readDefinition(
  folder: string,
  name: 'network' | 'storage' | 'volume' | `containers/${Place}`,
  values: Readonly<Record<string, string>>,
): Definition {
  const text = readFileSync(join(folder, `${name}.yaml`), 'utf8').replaceAll(
    /\$\{(\w+)\}/g,
    (_, key: string) => {
      const value = values[key];
      if (value === undefined) throw new Error(`lxd/${name}.yaml asks for \${${key}}, which nobody knows`);
      return value;
    },
  );
  return parse(text) as Definition;
}

/** The definition of a container, for its appliance. @param gateway the network's own address, such as 10.83.0.1/24 */
export function readContainer(
  folder: string,
  place: Place,
  { appliance, pool, network, volume }: Layout,
  gateway: string,
): Definition {
  const subnet = gateway.replace(/\.\d+\/\d+$/, '');
  return readDefinition(folder, `containers/${place}`, { appliance, pool, network, volume, subnet });
}
