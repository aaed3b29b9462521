import { posix } from 'node:path';
import type { z } from 'zod';
import { applianceSchema, type Config, type ServiceConfig } from './schema.ts';

/** One thing that is wrong with a configuration. */
export interface Problem {
  /** Where, as in `services.backend.port`. */
  readonly path: string;
  readonly message: string;
}

export type ParseResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Turns what was read from appliance.yaml into a configuration, or into the list of everything that is wrong with
 * it: all problems at once, each with its path and what was found there.
 */
export function parseConfig(raw: unknown): ParseResult {
  const parsed = applianceSchema.safeParse(raw, { reportInput: true });
  if (!parsed.success) {
    return { ok: false, problems: parsed.error.issues.flatMap((issue) => describeIssue(issue, raw)) };
  }
  const problems = crossCheck(parsed.data);
  return problems.length === 0 ? { ok: true, config: parsed.data } : { ok: false, problems };
}

function describeIssue(issue: z.core.$ZodIssue, raw: unknown): Problem[] {
  const path = formatPath(issue.path);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: formatPath([...issue.path, key]), message: 'unknown key' }));
  }
  if (issue.code === 'invalid_union') {
    // The branch with the fewest complaints is the one that was meant.
    const branches = issue.errors.filter((branch) => branch.length > 0);
    const closest = branches.toSorted((a, b) => distance(a) - distance(b))[0];
    if (closest && closest.some((inner) => inner.path.length > 0 || inner.code === 'unrecognized_keys')) {
      return closest.flatMap((inner) =>
        describeIssue({ ...inner, path: [...issue.path, ...inner.path] }, raw),
      );
    }
    // Where the union itself says what is wanted, its branches need not.
    if (!issue.message.startsWith('Invalid input'))
      return [{ path, message: `${trim(issue.message)}; found ${found(raw, issue.path)}` }];
    const expected = branches.flatMap((branch) => branch.map((inner) => trim(inner.message)));
    return [{ path, message: `${[...new Set(expected)].join(', or ')}; found ${found(raw, issue.path)}` }];
  }
  if (issue.code === 'invalid_key') {
    const why = trim(issue.issues[0]?.message ?? issue.message);
    return [{ path, message: `${why}; found the key ${JSON.stringify(issue.path.at(-1))}` }];
  }
  return [{ path, message: `${trim(issue.message)}; found ${found(raw, issue.path)}` }];
}

/** Wrong kind of thing altogether counts most, then every single complaint. */
function distance(issues: readonly z.core.$ZodIssue[]): number {
  return issues.reduce(
    (sum, issue) => sum + (issue.path.length === 0 && issue.code !== 'unrecognized_keys' ? 100 : 1),
    0,
  );
}

function trim(message: string): string {
  return message
    .replace(/^Invalid input: /, '')
    .replace(/, received .*$/, '')
    .replace(/^Invalid/, 'invalid')
    .replace(/^expected (record|object)$/, 'must be a mapping')
    .replace(/^expected array$/, 'must be a list')
    .replace(/^expected string$/, 'must be a text')
    .replace(/^expected number$/, 'must be a number')
    .replace(/^expected boolean$/, 'must be true or false')
    .replace(/^expected /, 'must be ')
    .replace(/^Too small: .*$/, 'must not be empty')
    .replace(/^(Invalid|invalid) option: expected one of (.*)$/, (_, _word, options: string) => {
      return `must be one of ${options.replaceAll('"', '').split('|').join(', ')}`;
    });
}

function formatPath(path: readonly PropertyKey[]): string {
  if (path.length === 0) return '(the whole file)';
  return path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part) || '""'}`,
    )
    .join('');
}

function found(raw: unknown, path: readonly PropertyKey[]): string {
  let value = raw;
  for (const part of path) {
    if (typeof value !== 'object' || value === null) return 'nothing';
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  if (value === undefined) return 'nothing';
  if (value === null) return 'an empty value';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}..."` : text;
}

/** What no single key can tell: names that refer to one another. */
function crossCheck(config: Config): Problem[] {
  const problems: Problem[] = [];
  const services = Object.entries(config.services);
  const portOwner = new Map<number, string>();
  for (const [name, service] of services) {
    const at = `services.${name}`;
    for (const other of service.after) {
      if (!Object.hasOwn(config.services, other))
        problems.push({ path: `${at}.after`, message: `there is no service "${other}"` });
    }
    if (service.port !== undefined) {
      const owner = portOwner.get(service.port);
      if (owner !== undefined)
        problems.push({
          path: `${at}.port`,
          message: `port ${service.port} belongs to service "${owner}" already`,
        });
      else portOwner.set(service.port, name);
    }
    problems.push(...checkAddresses(config, at, service));
    for (const [key, check] of [
      ['health', service.health],
      ['release', service.release],
    ] as const) {
      if (check?.url.includes('{port}') && service.port === undefined) {
        problems.push({ path: `${at}.${key}.url`, message: 'uses {port}, but the service has no port' });
      }
      if (/\{(commit|tag|address\.[^}]*)\}/.test(check?.url ?? '')) {
        problems.push({ path: `${at}.${key}.url`, message: 'can hold {port} and {env.NAME} only' });
      }
    }
  }
  if (hasCycle(config)) problems.push({ path: 'services', message: '"after" goes round in a circle' });
  const { when, onFailure } = config.prisma?.dataMigrations ?? {};
  if (onFailure === 'warn' && when !== 'after-start') {
    problems.push({
      path: 'prisma.dataMigrations.onFailure',
      message:
        '"warn" needs when: after-start; inside the window a failure restores, because the new version must not start on data that is half migrated',
    });
  }
  if (config.prisma && config.database === 'none') {
    problems.push({
      path: 'database',
      message: 'prisma needs a database; say { embedded: true }, { url: [NAME] } or { file: data/app.db }',
    });
  }
  problems.push(...checkDatabaseFile(config), ...checkContainers(config));
  return problems;
}

/** `{address.NAME}` is filled when the service starts, which in an update is too late to find that there is no such. */
function checkAddresses({ services }: Config, at: string, { start, env }: ServiceConfig): Problem[] {
  const texts: [string, string][] = [
    ...[start].flat().map((text): [string, string] => ['start', text]),
    ...Object.entries(env).map(([key, text]): [string, string] => [`env.${key}`, text]),
  ];
  return texts.flatMap(([key, text]) =>
    [...text.matchAll(/\{address\.([A-Za-z_][\w-]*)\}/g)].flatMap(([whole, name = '']) =>
      services[name]?.port !== undefined
        ? []
        : [{ path: `${at}.${key}`, message: `${whole}: there is no service "${name}" with a port` }],
    ),
  );
}

/** Two places in one container would be made into each other by turns. */
function checkContainers({ name, lxd: { containers } }: Config): Problem[] {
  const names = (['postgres', 'backend', 'frontend'] as const).map(
    (place) => containers[place] ?? `${name}-${place}`,
  );
  const twice = names.find((one, at) => names.indexOf(one) !== at);
  if (twice === undefined) return [];
  return [{ path: 'lxd.containers', message: `must name each container once; "${twice}" is there twice` }];
}

/** The file must lie where nothing else moves it. */
function checkDatabaseFile({ database, builds, backups, stateDirectory }: Config): Problem[] {
  if (database === 'none' || !('file' in database)) return [];
  const file = posix.normalize(database.file);
  const products = Object.values(builds).flatMap(({ dir, products: made }) =>
    made.map((product) => posix.join(dir, product)),
  );
  const taken = ['.git', stateDirectory, backups.directory, ...products].map((path) => posix.normalize(path));
  const around = taken.find((path) => file === path || file.startsWith(`${path}/`));
  const problems: Problem[] = [];
  if (around !== undefined)
    problems.push({
      path: 'database.file',
      message: `must not lie in ${around}, which is moved and replaced`,
    });
  return problems;
}

function hasCycle(config: Config): boolean {
  const done = new Set<string>();
  const visit = (name: string, above: ReadonlySet<string>): boolean => {
    if (above.has(name)) return true;
    if (done.has(name)) return false;
    done.add(name);
    return (config.services[name]?.after ?? []).some((next) => visit(next, new Set([...above, name])));
  };
  return Object.keys(config.services).some((name) => visit(name, new Set()));
}
