import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCommandString } from 'execa';
import { readApplianceEnvironment, substitute } from '../config/environment.ts';
import type { Argv, Config, ServiceConfig } from '../config/schema.ts';
import { findListeners, isPortTaken } from '../lib/ports.ts';
import { commandName } from '../lib/processes.ts';
import { Refusal } from '../lib/errors.ts';
import type { Door, ServiceHandle, StopPolicy } from '../runtime/runtime.ts';
import type { Appliance } from './appliance.ts';
import { gateEnvironment, type Gate } from './gate.ts';

export function serviceHandle(appliance: Appliance, name: string): ServiceHandle {
  return { name, stateFolder: appliance.state.services, inside: appliance.config.services[name]?.container };
}

/** How the line begins that says, in a service's log, which version starts there. */
export const startMark = '== holdfast: ';

export function serviceLog(appliance: Appliance, name: string): string {
  return join(appliance.state.logs, `${name}.log`);
}

/** A configured command as a list of arguments; a backslash keeps a space. */
export function toArgv(command: Argv): readonly string[] {
  return typeof command === 'string' ? parseCommandString(command) : command;
}

/** Services so that each comes after those that it names in `after`. */
export function startOrder(config: Config): string[] {
  const order: string[] = [];
  const visit = (name: string) => {
    if (order.includes(name)) return;
    for (const before of config.services[name]?.after ?? []) visit(before);
    order.push(name);
  };
  for (const name of Object.keys(config.services)) visit(name);
  return order;
}

/** A service without a port cannot be gated from outside: it is a worker, and starts after the commit. */
export function isWorker(service: ServiceConfig): boolean {
  return service.port === undefined && service.health === undefined && service.gate === 'preload';
}

export interface StartOptions {
  readonly config: Config;
  readonly commit: string;
  /** The commit's tag, or its short id where it has none: what {tag} stands for. */
  readonly label: string;
  readonly gate?: Gate | undefined;
  /** How to reach the database. */
  readonly database: Readonly<Record<string, string>>;
}

/**
 * Starts one service, unless it runs already. Does not wait for its health.
 *
 * @throws Error if its port is taken: who answers there would be taken for it
 */
export async function startService(appliance: Appliance, name: string, options: StartOptions): Promise<void> {
  const service = options.config.services[name];
  if (!service) throw new Error(`there is no service ${name}`);
  const handle = serviceHandle(appliance, name);
  if ((await appliance.runtime.serviceState(handle)).running) return;
  // One that was started and never recorded (we were killed in between) would hold its port.
  await appliance.runtime.stopService(handle, stopPolicyOf(service));
  if (service.port !== undefined && (await isTakenByOthers(appliance, service.port)))
    throw new Error(
      `service ${name} cannot start: its port ${service.port} is in use by ${describeListener(service.port)}`,
    );
  const variables = readApplianceEnvironment(options.config, appliance.directory, appliance.secrets);
  const { database } = options.config;
  // The administrator's way in is ours alone.
  if (database !== 'none' && 'adminUrl' in database && database.adminUrl !== undefined)
    delete variables[database.adminUrl];
  const addresses = await addressesOf(appliance, options.config);
  const fill = (text: string) =>
    substitute(text, {
      ...{ port: service.port, commit: options.commit, tag: options.label },
      ...{ env: variables, addresses },
    });
  const own = Object.fromEntries(Object.entries(service.env).map(([key, value]) => [key, fill(value)]));
  const environment: Record<string, string> = {
    ...appliance.runtime.environment(appliance.node),
    NODE_ENV: 'production',
    ...(service.port === undefined ? {} : { PORT: String(service.port) }),
    HOLDFAST_COMMIT: options.commit,
    ...variables,
    ...options.database,
    ...own,
  };
  const now = new Date().toISOString();
  appendFileSync(
    serviceLog(appliance, name),
    `${startMark}${now} starting ${options.label} (${options.commit.slice(0, 7)})\n`,
    { mode: 0o600 },
  );
  await appliance.runtime.startService({
    ...handle,
    argv: toArgv(service.start).map(fill),
    cwd: join(appliance.directory, service.dir),
    logFile: serviceLog(appliance, name),
    env: {
      ...environment,
      ...gateEnvironment(appliance, service, options.gate, environment['NODE_OPTIONS']),
    },
  });
}

/**
 * Ends every service, the dependent ones first, then every other one that was ever started here: a release may have
 * brought one that this configuration does not know. Returns when all of them are gone. May be run twice.
 */
export async function stopServices(
  appliance: Appliance,
  config: Config,
  note?: (line: string) => void,
): Promise<void> {
  await appliance.runtime.conceal();
  const known = startOrder(config).toReversed();
  // One that does not run may have left processes of its own behind: it is ended all the same, and not talked of.
  const stop = async (name: string) => {
    const handle = serviceHandle(appliance, name);
    if ((await appliance.runtime.serviceState(handle)).running) note?.(`stopping ${name}`);
    const port = config.services[name]?.port;
    await appliance.runtime.stopService(handle, {
      ...stopPolicyOf(config.services[name]),
      ...(port === undefined ? {} : { listening: { port, within: appliance.directory } }),
    });
  };
  for (const name of known) await stop(name);
  const others = await appliance.runtime.startedServices(appliance.state.services);
  for (const name of others.filter((one) => !known.includes(one))) await stop(name);
}

function stopPolicyOf(service: ServiceConfig | undefined): StopPolicy {
  const { signal = 'SIGTERM', timeout = 30_000, kill = 'group' } = service?.stop ?? {};
  return { signal, timeoutMs: timeout, kill };
}

/** What the outside reaches. */
export function doorsOf(config: Config): Door[] {
  return Object.entries(config.services).flatMap(([service, { port, container }]) =>
    port === undefined ? [] : [{ service, inside: container, port }],
  );
}

/** The services that run now, by name. */
export async function runningServices(appliance: Appliance, config: Config): Promise<string[]> {
  const running: string[] = [];
  for (const name of startOrder(config))
    if ((await appliance.runtime.serviceState(serviceHandle(appliance, name))).running) running.push(name);
  return running;
}

async function isTakenByOthers({ runtime }: Appliance, port: number): Promise<boolean> {
  return (await isPortTaken(port)) && !(await runtime.exposed()).includes(port);
}

/** Who listens on a port, for people. */
function describeListener(port: number): string {
  const [pid] = findListeners(port);
  return pid === undefined
    ? 'a program that Holdfast did not start'
    : `process ${pid} (${commandName(pid)}), which Holdfast did not start`;
}

/** @throws Refusal if somebody else listens where one of our stopped services should */
export async function verifyPortsAreOurs(appliance: Appliance, config: Config): Promise<void> {
  for (const [name, { port }] of Object.entries(config.services)) {
    if (port === undefined || (await appliance.runtime.serviceState(serviceHandle(appliance, name))).running)
      continue;
    if (await isTakenByOthers(appliance, port)) {
      throw new Refusal(
        `cannot go on: port ${port} of service ${name} is in use by ${describeListener(port)}`,
        `stop that program (ss -ltnp "sport = :${port}" shows it), then try again`,
      );
    }
  }
}

/**
 * Where the services of a target are to listen and none of ours does now.
 *
 * @throws Refusal if somebody else does: found out only in the window, it would cost an outage
 */
export async function verifyPortsAreFree(
  appliance: Appliance,
  config: Config,
  target: { readonly config: Config; readonly label: string },
): Promise<void> {
  const running = await runningServices(appliance, config);
  const ours = new Set(running.map((name) => config.services[name]?.port));
  for (const [name, { port }] of Object.entries(target.config.services)) {
    if (port === undefined || ours.has(port) || !(await isTakenByOthers(appliance, port))) continue;
    throw new Refusal(
      `cannot go on: service ${name} of ${target.label} is to listen on port ${port}, which is in use by another program`,
      `stop that program (ss -ltnp "sport = :${port}" shows it), then try again`,
    );
  }
}

/** A configured URL of a service, filled. */
export function serviceUrl(appliance: Appliance, service: ServiceConfig, url: string): string {
  const needsEnvironment = url.includes('{env.');
  const env = needsEnvironment
    ? readApplianceEnvironment(appliance.config, appliance.directory, appliance.secrets)
    : {};
  return substitute(url, { port: service.port, env });
}

/** Where the services answer each other. */
async function addressesOf(appliance: Appliance, config: Config): Promise<Record<string, string>> {
  const addresses: Record<string, string> = {};
  for (const [name, { port, container }] of Object.entries(config.services))
    if (port !== undefined) addresses[name] = `${await appliance.runtime.addressOf(container)}:${port}`;
  return addresses;
}
