/**
 * An error that Prisma's CLI knows by a code such as P1001: it prints the code, then the message.
 * Codes and texts are those of the native engine, https://www.prisma.io/docs/orm/reference/error-reference.
 */
export class KnownError extends Error {
  readonly code: string;
  readonly meta: Readonly<Record<string, unknown>>;

  constructor(
    code: string,
    message: string,
    options: { meta?: Readonly<Record<string, unknown>>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'KnownError';
    this.code = code;
    this.meta = options.meta ?? {};
  }
}

/** The code that the CLI should print for this error: `P` and four digits, or undefined for none. */
export function knownCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  const { code } = error;
  return typeof code === 'string' && /^P\d{4}$/.test(code) ? code : undefined;
}
