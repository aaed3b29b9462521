import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { parseEnv } from 'node:util';
import { hasCode, messageOf, Refusal } from '../lib/errors.ts';
import type { Secrets } from '../lib/secrets.ts';
import type { Config } from './schema.ts';

/**
 * The variables of the appliance: env files in their order, then `env.set`. Read anew each time it is needed,
 * since a restore may bring an older file back.
 *
 * @param secrets learns every value that comes from a file
 * @throws Refusal if a file cannot be read
 */
export function readApplianceEnvironment(
  config: Config,
  directory: string,
  secrets: Secrets,
): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const file of config.env.files) {
    let text: string;
    try {
      text = readFileSync(join(directory, file), 'utf8');
    } catch (error) {
      const why = hasCode(error, 'ENOENT') ? 'it does not exist' : messageOf(error);
      throw new Refusal(
        `cannot read the env file ${file}: ${why}`,
        `create ${file}, or take it out of env.files`,
      );
    }
    for (const [name, value] of Object.entries(parseEnv(text))) {
      if (value === undefined) continue;
      variables[name] = value;
      secrets.add(value);
    }
  }
  return { ...variables, ...config.env.set };
}

/** What must not leak from the operator's shell into the appliance, or would change what its tools do. */
const notInherited =
  /^(HOLDFAST_|npm_|NPM_CONFIG_(PREFIX|LOCAL_PREFIX)|PG|DATABASE_URL$|NODE_OPTIONS$|NODE_ENV$|NODE_PATH$|NODE_COMPILE_CACHE$|GIT_|VITEST|INIT_CWD$|PORT$|HOST$|OLDPWD$|BASH_ENV$|ENV$)/;

/** The operator's environment without what does not belong into the appliance's processes; Node's folder first on PATH. */
export function baseEnvironment(nodePath: string): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !notInherited.test(name)) kept[name] = value;
  }
  const path = process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin';
  const settings = npmSettingsOfMachine(path);
  if (settings !== undefined) kept['NPM_CONFIG_GLOBALCONFIG'] ??= settings;
  kept['PATH'] = `${dirname(nodePath)}:${path}`;
  return kept;
}

/**
 * npm looks for the machine's settings (registry, certificates, proxy) beside the Node that runs it. Ours lies
 * elsewhere, and would lose them.
 */
function npmSettingsOfMachine(path: string): string | undefined {
  const node = path
    .split(delimiter)
    .map((folder) => join(folder, 'node'))
    .find((file) => existsSync(file));
  const settings = node && join(dirname(dirname(realpathSync(node))), 'etc', 'npmrc');
  return settings !== undefined && existsSync(settings) ? settings : undefined;
}

/** What `{port}`, `{commit}`, `{tag}`, `{env.X}` and `{address.SERVICE}` stand for. */
export interface Substitutions {
  readonly port?: number | undefined;
  readonly commit?: string | undefined;
  readonly tag?: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** Of services, each as host:port. */
  readonly addresses?: Readonly<Record<string, string>>;
}

/** Fills the placeholders of a configured text. Throws Refusal for a placeholder that has no value here. */
export function substitute(text: string, values: Substitutions): string {
  const tables = { env: values.env, address: values.addresses ?? {} };
  const form = /\{(?:(port|commit|tag)|(env|address)\.([A-Za-z_][A-Za-z0-9_-]*))\}/g;
  return text.replaceAll(
    form,
    (whole, key: 'port' | 'commit' | 'tag' | undefined, table: keyof typeof tables, name: string) => {
      const value =
        key === undefined
          ? Object.hasOwn(tables[table], name)
            ? tables[table][name]
            : undefined
          : values[key];
      if (value === undefined) throw new Refusal(`cannot fill ${whole} in "${text}": it has no value here`);
      return String(value);
    },
  );
}
