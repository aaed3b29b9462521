/** What the service is told by its environment, checked once at the start. */
export interface Environment {
  readonly databaseUrl: string;
  readonly host: string;
  readonly port: number;
  readonly logLevel: string;
}

/** The environment lacks a setting or holds one that cannot be used; the message is the whole sentence to print. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError';
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/**
 * Reads the settings of the API server.
 *
 * @throws EnvironmentError with the one line that the operator needs.
 */
export function parseEnvironment(variables: NodeJS.ProcessEnv): Environment {
  return {
    databaseUrl: parseDatabaseUrl(variables, 'start the backend'),
    host: variables['HOST'] || '127.0.0.1',
    port: parsePort(variables['PORT']),
    logLevel: parseLogLevel(variables['LOG_LEVEL']),
  };
}

/**
 * Reads DATABASE_URL. Its value never appears in a message: it holds a password.
 *
 * @param purpose what cannot be done without it, as in "start the backend"
 * @throws EnvironmentError when it is missing or is no PostgreSQL URL.
 */
export function parseDatabaseUrl(variables: NodeJS.ProcessEnv, purpose: string): string {
  const url = variables['DATABASE_URL'];
  if (url === undefined || url === '') {
    throw new EnvironmentError(
      `cannot ${purpose}: DATABASE_URL is not set. Set it, for example postgresql://user:password@localhost:5432/inventory`,
    );
  }
  if (!URL.canParse(url) || !/^postgres(?:ql)?:$/.test(new URL(url).protocol)) {
    throw new EnvironmentError(
      `cannot ${purpose}: DATABASE_URL is not a PostgreSQL URL. It starts with postgresql:// (percent-encode odd characters)`,
    );
  }
  return url;
}

function parsePort(text: string | undefined): number {
  if (text === undefined || text === '') return 4000;
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) {
    throw new EnvironmentError(`cannot start the backend: PORT is "${text}". Set a number from 0 to 65535`);
  }
  return port;
}

function parseLogLevel(text: string | undefined): string {
  if (text === undefined || text === '') return 'info';
  if (LOG_LEVELS.includes(text)) return text;
  throw new EnvironmentError(
    `cannot start the backend: LOG_LEVEL is "${text}". Set one of ${LOG_LEVELS.join(', ')}`,
  );
}
