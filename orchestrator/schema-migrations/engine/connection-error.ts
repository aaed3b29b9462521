import { messageOf } from '../../lib/errors.ts';
import { addressOf, type ConnectionSettings } from './connection-url.ts';
import { KnownError } from './errors.ts';

const unreachable = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'ECONNRESET',
  'ENOENT', // a Unix socket that is not there
  'EACCES', // or is closed to us
  'ENOTSOCK',
  'EINVAL', // a socket path beyond the system's 107 bytes
  '57P03', // the server is starting up or shutting down
]);

/**
 * The code and text that the native engine gives for a connection that could not be opened. They are made here because
 * the WebAssembly engine loses the code of everything that fails while it is constructed, and `@prisma/adapter-pg` knows
 * neither Unix sockets nor the AggregateError that Node throws for a name with two addresses.
 *
 * A failure that has no code of its own comes back unchanged in meaning, as a plain Error with the server's words.
 */
export function connectionError(error: unknown, settings: ConnectionSettings): Error {
  const cause =
    error instanceof AggregateError && error.errors.length > 0 ? (error.errors[0] as unknown) : error;
  const message = messageOf(cause);
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const address = addressOf(settings);
  const known = (knownCode: string, text: string): KnownError => new KnownError(knownCode, text, { cause });

  if (unreachable.has(code) || message.startsWith('Connection terminated unexpectedly')) {
    return known(
      'P1001',
      `Can't reach database server at \`${address}\`\n\nPlease make sure your database server is running at \`${address}\`.\n\n(${message})`,
    );
  }
  if (/timeout/i.test(message) && code === '') {
    return known(
      'P1002',
      `The database server at \`${address}\` was reached but timed out.\n\nPlease try again.\n\nPlease make sure your database server is running at \`${address}\`.\n\nContext: no answer within ${settings.connectTimeoutMs} ms`,
    );
  }
  if (code === '28P01' || message.startsWith('SASL:')) {
    return known(
      'P1000',
      `Authentication failed against database server at \`${address}\`, the provided database credentials for \`${settings.user ?? '(not given)'}\` are not valid.\n\nPlease make sure to provide valid database credentials for the database server at \`${address}\`.\n\n(${message})`,
    );
  }
  if (code === '3D000') return known('P1003', `Database \`${settings.database ?? ''}\` does not exist`);
  if (code === '28000' || code === '42501') {
    return known(
      'P1010',
      `User was denied access on the database \`${settings.database ?? '(not available)'}\`: ${message}`,
    );
  }
  if (code === '53300') return known('P2037', `Too many database connections opened: ${message}`);
  if (/\bSSL\b/.test(message) || /^ERR_(TLS|SSL)|CERT|^UNABLE_TO_|^EPROTO/.test(code)) {
    return known('P1011', `Error opening a TLS connection: ${message}`);
  }
  return new Error(message, { cause });
}

/** True when the other side is gone, so that nothing more can be asked over this connection. */
export function isConnectionLost(error: unknown): boolean {
  return /^(Connection terminated|Client has encountered a connection error|Client was closed)/.test(
    messageOf(error),
  );
}
