import { PassThrough } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { EngineEvent, Outcome } from './migration-engine.ts';

/** Starts a run, tells its events, and ends with its outcome. */
export type Start = (onEvent: (event: EngineEvent) => void) => Promise<Outcome>;

type Failure = Extract<Outcome, { ok: false }>;

/** Shorter than the patience of proxies and HTTP clients (Node's own: five minutes without a byte). */
const HEARTBEAT_MS = 15_000;
/** A client that reads more slowly than this allows is dropped: the run must neither wait for it nor fill the memory. */
const UNREAD_BYTES = 4 * 1024 * 1024;
const LOG_LINES = 1_000;

const KINDS: Readonly<Record<number, { readonly status: number; readonly code: string }>> = {
  1: { status: 500, code: 'migration_failed' },
  2: { status: 422, code: 'migrations_refused' },
  4: { status: 409, code: 'migrations_locked' },
  // The backend is being stopped, and the engine with it.
  130: { status: 503, code: 'migrations_interrupted' },
  143: { status: 503, code: 'migrations_interrupted' },
};

/** The engine's exit code as HTTP has it. */
export function statusOf(outcome: Outcome): number {
  return outcome.ok ? 200 : kindOf(outcome).status;
}

/** The engine's sentence in the shape that every error of this API has. */
export function describeError(failure: Failure): { readonly code: string; readonly message: string } {
  return { code: kindOf(failure).code, message: failure.error };
}

function kindOf({ exitCode, error }: Failure): { readonly status: number; readonly code: string } {
  // The engine refuses an unknown name as it refuses anything else; only its sentence tells.
  if (exitCode === 2 && error.startsWith('cannot find the data migration'))
    return { status: 404, code: 'not_found' };
  return KINDS[exitCode] ?? { status: 500, code: 'migration_failed' };
}

/** Answers when the run has ended: `{ok, exitCode, events, message}`, or `error` in place of the message. */
export async function collectRun(start: Start, reply: FastifyReply): Promise<FastifyReply> {
  const events: EngineEvent[] = [];
  let lines = 0;
  const outcome = await start((event) => {
    if (event.type === 'migration-log') lines += 1;
    if (event.type === 'migration-progress' || (event.type === 'migration-log' && lines > LOG_LINES)) return;
    events.push(event);
  });
  if (lines > LOG_LINES)
    events.push({
      type: 'warning',
      message: `${lines - LOG_LINES} more lines were logged; Accept: application/x-ndjson gives all of them`,
    });
  const body = outcome.ok
    ? { ok: true, exitCode: 0, events, message: outcome.message }
    : { ok: false, exitCode: outcome.exitCode, events, error: describeError(outcome) };
  return await reply.code(statusOf(outcome)).send(body);
}

/**
 * Answers with the events as they come, one JSON object a line; the last one is the result. Empty lines keep the
 * connection alive. What is refused before anything ran has its own status; afterwards it can only be 200.
 */
export async function streamRun(start: Start, reply: FastifyReply): Promise<FastifyReply> {
  const body = new PassThrough();
  const { promise: opened, resolve: open } = Promise.withResolvers<number>();
  const write = (text: string): void => {
    body.write(text);
    if (body.writableLength > UNREAD_BYTES) body.destroy();
  };
  const heartbeat = setInterval(() => {
    open(200);
    write('\n');
  }, HEARTBEAT_MS);
  const relay = async (): Promise<void> => {
    const outcome = await start((event) => {
      write(`${JSON.stringify(event)}\n`);
      // Warnings come before refusals too.
      if (event.type !== 'warning') open(200);
    });
    clearInterval(heartbeat);
    open(statusOf(outcome));
    write(`${JSON.stringify(toResult(outcome))}\n`);
    body.end();
  };
  // Not waited for: whether somebody still reads makes no difference to the run.
  void relay();
  return await reply
    .code(await opened)
    .header('content-type', 'application/x-ndjson')
    .send(body);
}

function toResult(outcome: Outcome): EngineEvent {
  if (outcome.ok) return { type: 'result', ok: true, message: outcome.message };
  return { type: 'result', ok: false, exitCode: outcome.exitCode, error: outcome.error };
}
