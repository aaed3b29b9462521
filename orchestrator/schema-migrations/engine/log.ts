export type LogLevel = 'INFO' | 'WARN' | 'ERROR';

/** What the CLI's error for `engine cli ...` is read from; any other target is shown as plain text. */
export const errorTarget = 'schema_engine::logger';

/**
 * Writes one JSON line to stderr in the native engine's format. Prisma's CLI reads them all: an ERROR is what it shows
 * when the engine ends with another code than 0, and for `engine cli ...` it drops the first line, whatever that is.
 */
export function log(
  level: LogLevel,
  message: string,
  fields: Readonly<Record<string, unknown>> = {},
  target = 'schema_engine',
): void {
  const line = { timestamp: new Date().toISOString(), level, fields: { message, ...fields }, target };
  process.stderr.write(`${JSON.stringify(line)}\n`);
}

/** Passes on a line of the WebAssembly engine's own log, which is in this format but for the time. */
export function logFromEngine(line: string): void {
  process.stderr.write(`${line.trimEnd()}\n`);
}
