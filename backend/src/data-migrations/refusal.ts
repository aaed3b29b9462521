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
  if (!(error instanceof Error)) return String(error);
  const lines = error.message.split('\n').filter((line) => line.trim() !== '');
  const fromPrisma = error.message.includes('invocation');
  const text = fromPrisma ? lines.at(-1) : lines.join(' ');
  return text?.replaceAll(/\s+/g, ' ').trim() || ('code' in error ? String(error.code) : error.name);
}
