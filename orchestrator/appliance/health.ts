import { readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceConfig } from '../config/schema.ts';
import { messageOf } from '../lib/errors.ts';
import { isPortTaken } from '../lib/ports.ts';
import { formatDuration } from '../lib/units.ts';
import { lastLines, type Answer } from '../runtime/runtime.ts';
import { learnSecrets, type Appliance } from './appliance.ts';
import type { Gate } from './gate.ts';
import { atPointer } from './http.ts';
import { serviceHandle, serviceLog, serviceUrl, startMark } from './services.ts';

const requestTimeoutMs = 5000;

/** Why a service is not healthy, or undefined when it is, or when nothing says what healthy is. */
export async function findHealthProblem(
  appliance: Appliance,
  service: ServiceConfig,
  {
    gate,
    signal,
    timeoutMs = requestTimeoutMs,
  }: { gate?: Gate | undefined; signal?: AbortSignal | undefined; timeoutMs?: number } = {},
): Promise<string | undefined> {
  const { health } = service;
  if (!health) return undefined;
  const url = serviceUrl(appliance, service, health.url);
  try {
    const answer = await appliance.runtime.ask(url, {
      inside: service.container,
      timeoutMs,
      signal,
      headers: gate ? { 'holdfast-gate': gate.token } : {},
    });
    const problem = findProblemIn(answer, health.expect);
    return problem === undefined ? undefined : `${url} ${problem}${await quoteBody(appliance, answer.body)}`;
  } catch (error) {
    return `${url} does not answer: ${messageOf(error)}`;
  }
}

function findProblemIn(
  { status, body }: Answer,
  expect: Readonly<Record<string, unknown>>,
): string | undefined {
  if (status < 200 || status > 299) return `answers ${status}`;
  const pointers = Object.entries(expect);
  if (pointers.length === 0) return undefined;
  const document = parseJson(body);
  if (document === undefined) return `answers ${status}, but no JSON`;
  for (const [pointer, wanted] of pointers) {
    const got = atPointer(document, pointer);
    if (got !== wanted)
      return `says ${pointer} is ${JSON.stringify(got)} instead of ${JSON.stringify(wanted)}`;
  }
  return undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** So much of an answer's text is shown: mostly it says what is wrong. */
const shownOfBody = 200;

/**
 * The beginning of an answer's text as one line, without what would play with a terminal. Secrets are masked before it
 * is cut: the half of one would not be known again.
 */
async function quoteBody(appliance: Appliance, body: string): Promise<string> {
  await learnSecrets(appliance);
  const line = appliance.secrets
    .mask(body)
    .replaceAll(/[\s\p{C}]+/gu, ' ')
    .trim();
  if (line === '') return '';
  return `: ${line.length > shownOfBody ? `${line.slice(0, shownOfBody)}...` : line}`;
}

/**
 * Waits until a service that was just started is healthy and stays so. One that ends meanwhile is not waited for.
 *
 * @throws Error with the last reason and the end of the service's log
 */
export async function waitUntilHealthy(
  appliance: Appliance,
  name: string,
  service: ServiceConfig,
  options: { gate?: Gate | undefined; signal?: AbortSignal | undefined; note?: (line: string) => void },
): Promise<void> {
  const { health } = service;
  const logStart = logSize(appliance, name);
  const handle = serviceHandle(appliance, name);
  if (!health) {
    await sleep(500);
    if (!(await appliance.runtime.serviceState(handle)).running)
      throw new Error(`service ${name} ended at its start${tail(appliance, name, logStart)}`);
    return;
  }
  const deadline = performance.now() + health.timeout;
  let healthySince: number | undefined;
  let wasHealthy = false;
  let problem: string | undefined;
  for (;;) {
    options.signal?.throwIfAborted();
    if (!(await appliance.runtime.serviceState(handle)).running) {
      throw new Error(
        `service ${name} ended ${wasHealthy ? 'after it had been healthy' : 'at its start'}${tail(appliance, name, logStart)}`,
      );
    }
    const patience = Math.min(requestTimeoutMs, Math.max(100, health.timeout));
    problem = await findHealthProblem(appliance, service, { ...options, timeoutMs: patience });
    const now = performance.now();
    if (problem === undefined) {
      wasHealthy = true;
      healthySince ??= now;
      if (now - healthySince >= health.stableFor) {
        options.note?.(`${name} is healthy`);
        return;
      }
    } else {
      healthySince = undefined;
      options.note?.(`waiting for ${name}: ${problem}`);
      if (now >= deadline)
        throw new Error(
          `service ${name} was not healthy within ${formatDuration(health.timeout)}: ${problem}${tail(appliance, name, logStart)}`,
        );
    }
    await sleep(healthySince === undefined ? 50 : Math.min(100, health.stableFor));
  }
}

/**
 * The commit that a service that runs answers as; undefined where it has no release URL, or does not answer by it.
 * Looks only.
 */
export async function answeredCommit(
  appliance: Appliance,
  name: string,
  service: ServiceConfig,
): Promise<string | undefined> {
  if (!(await appliance.runtime.serviceState(serviceHandle(appliance, name))).running) return undefined;
  const got = await readRelease(appliance, name, service, undefined).catch(() => undefined);
  return typeof got === 'string' ? got : undefined;
}

/**
 * Proves which commit answers. Without a release URL the proof is the process that we started, in its folder, which
 * `waitUntilHealthy` has seen alive.
 *
 * @param commits any of them is right; the first one is the checkout's
 * @throws Error if another one answers
 */
export async function verifyRelease(
  appliance: Appliance,
  name: string,
  service: ServiceConfig,
  commits: readonly [string, ...string[]],
  gate: Gate | undefined,
): Promise<void> {
  if (!service.release) return;
  const got = await readRelease(appliance, name, service, gate);
  if (!commits.some((commit) => got === commit))
    throw new Error(
      `service ${name} answers as commit ${JSON.stringify(got)}, not ${commits[0]}, at which the checkout is: another version is running; if the checkout was moved by hand, git reset --keep takes it back`,
    );
}

/** What a service says that it was built from; undefined where it has no release URL. Throws Error if it answers no JSON. */
async function readRelease(
  appliance: Appliance,
  name: string,
  service: ServiceConfig,
  gate: Gate | undefined,
): Promise<unknown> {
  if (!service.release) return undefined;
  const url = serviceUrl(appliance, service, service.release.url);
  const answer = await appliance.runtime.ask(url, {
    inside: service.container,
    timeoutMs: requestTimeoutMs,
    headers: gate ? { 'holdfast-gate': gate.token } : {},
  });
  try {
    return atPointer(JSON.parse(answer.body), service.release.pointer);
  } catch {
    throw new Error(
      `${url} answers ${answer.status} and no JSON, so nobody knows which version of ${name} runs`,
    );
  }
}

/**
 * Checks that the gate holds: a request without our token must be refused. A service that answers it would
 * acknowledge writes that a restore takes away.
 *
 * @throws Error that says how to declare it
 */
export async function verifyGate(appliance: Appliance, name: string, service: ServiceConfig): Promise<void> {
  // With "flag" the service decides what it answers; a health check is harmless.
  if (service.gate !== 'preload' || !service.health) return;
  if (appliance.runtime.gate === 'address') {
    if (service.port === undefined || !(await isPortTaken(service.port))) return;
    throw new Error(
      `port ${service.port} of service ${name} is open on this machine before the update is committed: another program than ours leads there, or is in its place`,
    );
  }
  const url = serviceUrl(appliance, service, service.health.url);
  const answer = await appliance.runtime.ask(url, { inside: service.container, timeoutMs: requestTimeoutMs });
  if (answer.status === 503) return;
  throw new Error(
    `service ${name} takes requests from outside before the update is committed (gate: ${service.gate} has no effect on it). ` +
      `If that cannot be helped, declare services.${name}.gate: none in appliance.yaml: writes made in that moment are then lost when an update fails`,
  );
}

function logSize(appliance: Appliance, name: string): number {
  try {
    return statSync(serviceLog(appliance, name)).size;
  } catch {
    return 0;
  }
}

/** What the service itself printed, which is mostly the reason. */
function tail(appliance: Appliance, name: string, from: number): string {
  try {
    const text = readFileSync(serviceLog(appliance, name))
      .subarray(Math.max(0, from - 4096))
      .toString('utf8');
    // Only what it printed since it was started: what another version said before would mislead.
    const lines = lastLines(
      text.slice(Math.max(0, text.lastIndexOf(startMark))).replace(/^.*\n/, ''),
      16,
    ).trim();
    return lines === '' ? '' : `\n${lines}`;
  } catch {
    return '';
  }
}
