import { inspect } from 'node:util';

/** How the engine ends, as a supervisor reads it. */
export const EXIT = { ok: 0, failed: 1, refused: 2, locked: 4 } as const;

/** The engine ends here; the message is the whole sentence to print, `exitCode` is how the process ends. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly exitCode: number;

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/**
 * Any error as one line. Prisma's messages repeat the calling code over several lines and end with the cause; a
 * message that is empty (some of Node's network errors) is replaced by its code.
 */
export function describeError(error: unknown): string {
  if (typeof error === 'string') return error;
  if (!(error instanceof Error)) return describeThrown(error);
  const original = originalMessage(error.cause);
  if (original !== undefined && error.name === 'DriverAdapterError') return original;
  const lines = error.message.split('\n').filter((line) => line.trim() !== '');
  const fromPrisma = error.message.includes('invocation');
  const text = fromPrisma ? lines.at(-1) : lines.join(' ');
  return text?.replaceAll(/\s+/g, ' ').trim() || ('code' in error ? String(error.code) : error.name);
}

/** Prisma's adapter names the kind alone; what PostgreSQL said is beneath. */
function originalMessage(cause: unknown): string | undefined {
  const said = (cause as { originalMessage?: unknown } | undefined)?.originalMessage;
  return typeof said === 'string' && said !== '' ? said : undefined;
}

/** What people throw, or return as an error, besides errors. */
function describeThrown(error: unknown): string {
  if (error === undefined || error === null) return `it failed without a word (${String(error)} was thrown)`;
  if (typeof error !== 'object') return inspect(error);
  if ('message' in error && typeof error.message === 'string' && error.message !== '') return error.message;
  return inspect(error, { breakLength: Infinity });
}
