import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, EXIT, Refusal } from './refusal.ts';

/** A running backend, as its address and the key to its migration routes. */
export interface Backend {
  readonly url: string;
  readonly key: string;
}

const POLL_MS = 500;
const ANSWER_MS = 5_000;

/**
 * Waits until `GET /health` answers 200, and says so when that takes longer than one question.
 *
 * @throws Refusal (exit 2) when it does not in time; the signal's reason when it is aborted.
 */
export async function waitUntilHealthy(
  url: string,
  timeoutMs: number,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let hasSaid = false;
  for (;;) {
    const problem = await findProblem(url, signal);
    signal.throwIfAborted();
    if (problem === undefined) return;
    if (performance.now() >= deadline)
      throw new Refusal(
        EXIT.refused,
        `cannot ask ${url}: it was not healthy within ${timeoutMs / 1000} s (${problem}). Nothing was run. Look at its log, or wait longer: --wait 5m`,
      );
    if (!hasSaid) say(`waiting until ${url} is healthy (${problem}) ...`);
    hasSaid = true;
    await sleep(POLL_MS);
  }
}

async function findProblem(url: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
    const response = await fetch(`${url}/health`, { redirect: 'manual', signal: inTime });
    await response.body?.cancel();
    return response.status === 200 ? undefined : `it answers ${response.status}`;
  } catch (error) {
    return describeCause(error);
  }
}

/**
 * Sends one request to the migration routes. What the engine itself says, good or bad, is returned.
 *
 * @throws Refusal (exit 2) when the request did not get as far as the engine.
 */
export async function ask(
  { url, key }: Backend,
  method: 'GET' | 'POST',
  route: string,
  signal: AbortSignal,
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(`${url}/migration/${route}`, {
      method,
      headers: {
        'developer-key': key,
        accept: method === 'GET' ? 'application/json' : 'application/x-ndjson',
      },
      // The key must not follow a redirect to somebody else.
      redirect: 'manual',
      signal,
    });
  } catch (error) {
    if (method === 'POST') throw signal.aborted ? leaveBehind(url, signal.reason) : describeLoss(url, error);
    signal.throwIfAborted();
    throw new Refusal(EXIT.refused, `cannot ask ${url}: ${describeCause(error)}. Is it still running?`);
  }
  if (response.ok || isStream(response)) return response;
  throw (
    (await readRefusal(response)) ??
    new Refusal(EXIT.refused, `cannot ask ${url}: ${explainStatus(response)}`)
  );
}

/** Events, and at their end the engine's own result. */
export function isStream(response: Response): boolean {
  return response.headers.get('content-type')?.startsWith('application/x-ndjson') === true;
}

/** What the engine answered to a question that it could not answer. */
async function readRefusal(response: Response): Promise<Refusal | undefined> {
  const body: unknown = await response.json().catch(() => undefined);
  if (typeof body !== 'object' || body === null || !('exitCode' in body) || !('error' in body))
    return undefined;
  const { exitCode, error } = body;
  if (typeof exitCode !== 'number' || typeof error !== 'object' || error === null) return undefined;
  return 'message' in error ? new Refusal(exitCode, String(error.message)) : undefined;
}

/** The connection broke when the backend may have been at work already; it does not stop for that. */
export function describeLoss(url: string, error: unknown): Refusal {
  return new Refusal(
    EXIT.failed,
    `cannot say how the data migrations went: the connection to ${url} was lost (${describeCause(error)}). The backend goes on with them unless it was stopped itself. See how it went: run.sh --status --backend-url ${url}`,
    { cause: error },
  );
}

/** Whoever stops waiting does not stop the run. */
export function leaveBehind(url: string, reason: unknown): Refusal {
  return new Refusal(
    reason instanceof Refusal ? reason.exitCode : EXIT.failed,
    `no longer waiting (${describeError(reason)}): the backend goes on with the data migrations. See how it went: run.sh --status --backend-url ${url}`,
  );
}

function explainStatus(response: Response): string {
  switch (response.status) {
    case 401:
      return 'the developer key is wrong. Set DEVELOPER_KEY to the one that the backend was started with';
    case 404:
      return 'it has no migration routes. Start it with DEVELOPER_KEY set, or run the migrations where they are, without --backend-url';
    case 429:
      return `too many wrong keys came from this address. Try again in ${response.headers.get('retry-after') ?? '60'} s, with the right one`;
    case 503:
      return 'it is being updated or stopped. Nothing was run. Try again after that';
    default:
      return response.status >= 300 && response.status < 400
        ? `it sends us elsewhere (${response.headers.get('location') ?? 'nowhere'}). Give --backend-url that address, if you trust it with the key`
        : `it answers ${response.status}. Look at its log`;
  }
}

/** fetch says only "fetch failed"; the cause says why. */
function describeCause(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return describeError(cause);
}
