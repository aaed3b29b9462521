import type { Request } from './arguments.ts';
import { EXIT, Refusal } from './refusal.ts';
import {
  ask,
  describeLoss,
  isStream,
  leaveBehind,
  waitUntilHealthy,
  type Backend,
} from './remote-backend.ts';
import type { Event, Report } from './reporter.ts';
import { formatList, formatSummary, type Listed, type Summary } from './status.ts';

/**
 * Lets a running backend do what was asked, as soon as it is healthy; it looks the same as if it were done here. What
 * concerns only the way there is said on stderr, so that stdout is the engine's.
 *
 * @throws Refusal with the exit code that the engine has there, or exit 2 when it was not reached.
 */
export async function runRemotely(
  request: Request,
  backendUrl: string,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const backend = parseBackend(request, backendUrl);
  if (request.isKeyVisible)
    say(
      'warning: --developer-key is visible in the process list; better set DEVELOPER_KEY in the environment',
    );
  await waitUntilHealthy(backend.url, request.healthTimeoutMs, say, signal);
  const { task } = request;
  if (task.command === 'status') {
    const summary = await askFor<Summary>(backend, 'status', 'applied', signal);
    console.log(request.json ? JSON.stringify(summary) : formatSummary(summary));
  } else if (task.command === 'list') {
    const list = await askFor<{ migrations: Listed[] }>(backend, 'list', 'migrations', signal);
    const text = request.json ? JSON.stringify(list) : formatList(list.migrations);
    if (text !== '') console.log(text);
  } else {
    const one = request.only === undefined ? '' : `/${encodeURIComponent(request.only)}`;
    await relay(backend, `run${one}?dryRun=${task.command === 'dry-run'}`, report, signal);
  }
}

/** Progress of our own; stdout may be read by a program. */
function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** @throws Refusal (exit 2). The key is in no message: fetch itself would quote one that no header can carry. */
function parseBackend({ developerKey: key }: Request, backendUrl: string): Backend {
  const { origin, pathname, username, password } = new URL(backendUrl);
  const url = `${origin}${pathname.replace(/\/+$/, '')}`;
  const refuse = (reason: string): Refusal => new Refusal(EXIT.refused, `cannot ask ${url}: ${reason}`);
  if (username !== '' || password !== '') throw refuse('give --backend-url without a user name and password');
  if (key === undefined || key === '')
    throw refuse(
      'no developer key was given. Set DEVELOPER_KEY to the one that the backend was started with',
    );
  if (!/^[\x21-\x7e]+$/.test(key))
    throw refuse(
      'the developer key holds characters that no header can carry. Set DEVELOPER_KEY to the one that the backend was started with',
    );
  return { url, key };
}

async function askFor<T>(
  backend: Backend,
  route: string,
  property: keyof T & string,
  signal: AbortSignal,
): Promise<T> {
  const response = await ask(backend, 'GET', route, signal);
  const answer: unknown = await response.json().catch(() => undefined);
  if (typeof answer === 'object' && answer !== null && property in answer) return answer as T;
  throw describeStranger(backend.url);
}

function describeStranger(url: string): Refusal {
  return new Refusal(
    EXIT.refused,
    `cannot ask ${url}: what answers there is not the backend. Correct --backend-url`,
  );
}

/** Passes the events on as they come. @throws Refusal with the exit code that the engine has there. */
async function relay(backend: Backend, route: string, report: Report, signal: AbortSignal): Promise<void> {
  const response = await ask(backend, 'POST', route, signal);
  if (!isStream(response)) throw describeStranger(backend.url);
  let result: Extract<Event, { type: 'result' }> | undefined;
  try {
    for await (const line of readLines(response)) {
      const event = JSON.parse(line) as Event;
      if (event.type === 'result') result = event;
      else report(event);
    }
  } catch (error) {
    if (result === undefined)
      throw signal.aborted ? leaveBehind(backend.url, signal.reason) : describeLoss(backend.url, error);
  }
  if (result === undefined) throw describeLoss(backend.url, new Error('it ended without a result'));
  if (!result.ok) throw new Refusal(result.exitCode, result.error);
  report(result);
}

/** The whole lines of an answer, without the empty ones that keep the connection alive. */
async function* readLines({ body }: Response): AsyncGenerator<string> {
  if (body === null) return;
  let rest = '';
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop() ?? '';
    yield* lines.filter((line) => line.trim() !== '');
  }
}
