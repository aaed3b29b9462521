import { KnownError } from './errors.ts';

/** How a connection is protected; `prefer` falls back to plain text when the server has no TLS. */
export type TlsMode = 'disable' | 'prefer' | 'require';

export interface ConnectionSettings {
  /** A host name, an address, or the folder of a Unix socket (it begins with a slash). */
  readonly host: string | undefined;
  readonly port: number;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  readonly schema: string;
  /** 0 waits for ever. */
  readonly connectTimeoutMs: number;
  readonly applicationName: string | undefined;
  /** Server settings sent with the connection, such as `-c lock_timeout=5s`. */
  readonly options: string | undefined;
  readonly tls: TlsMode;
  /** Check the server's certificate; without it TLS keeps listeners out, not impostors. */
  readonly verifyCertificate: boolean;
  readonly verifyHostName: boolean;
  readonly certificateAuthorityFile: string | undefined;
  /** A PKCS 12 file with the client's own certificate. */
  readonly identityFile: string | undefined;
  readonly identityPassword: string | undefined;
}

const defaultConnectTimeoutS = 5;

/**
 * Reads a PostgreSQL URL the way Prisma's native engine does: `schema`, `host` (a Unix socket's folder, percent-encoded),
 * `sslmode`, `sslaccept`, `sslcert` (the authority's certificate), `sslidentity`, `sslpassword`, `connect_timeout` in
 * seconds, `application_name`, `options`. It adds libpq's `sslrootcert`, `verify-ca` and `verify-full`. What is absent is
 * left to the driver, which knows PGUSER, PGPASSWORD, PGAPPNAME and the password file.
 *
 * node-postgres does not read the URL itself because it takes `sslmode=require` for `verify-full` and forgets `schema`.
 *
 * @throws {KnownError} P1013, without the URL in its text (it holds the password).
 * Source: https://www.prisma.io/docs/orm/overview/databases/postgresql#arguments
 */
export function parseConnectionUrl(text: string): ConnectionSettings {
  const url = parseUrl(text);
  const parameter = (name: string): string | undefined => url.searchParams.get(name) ?? undefined;

  const sslMode = parameter('sslmode') ?? 'prefer';
  const verifyHostName = parameter('sslaccept') === 'strict' || sslMode === 'verify-full';
  return {
    host: parameter('host') ?? decoded(url.hostname.replace(/^\[(.*)\]$/, '$1')),
    port: parsePort(url.port === '' ? parameter('port') : url.port),
    user: decoded(url.username) ?? parameter('user'),
    password: decoded(url.password) ?? parameter('password'),
    database: decoded(url.pathname.slice(1)) ?? parameter('dbname'),
    schema: parameter('schema') ?? 'public',
    connectTimeoutMs: parseSeconds(parameter('connect_timeout')) * 1000,
    applicationName: parameter('application_name'),
    options: parameter('options'),
    tls: parseTlsMode(sslMode),
    verifyCertificate: verifyHostName || sslMode === 'verify-ca',
    verifyHostName,
    certificateAuthorityFile: parameter('sslrootcert') ?? parameter('sslcert'),
    identityFile: parameter('sslidentity'),
    identityPassword: parameter('sslpassword'),
  };
}

/** How a server is named in messages: `db.local:5432`, or the socket's folder and port. */
export function addressOf(settings: ConnectionSettings): string {
  return `${settings.host ?? 'localhost'}:${settings.port}`;
}

function parseUrl(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw invalid('it is not a URL; special characters in user and password must be percent-encoded');
  }
  if (url.protocol !== 'postgresql:' && url.protocol !== 'postgres:') {
    throw invalid(`this schema engine serves postgresql:// and file: only, not ${url.protocol}//`);
  }
  return url;
}

function decoded(text: string): string | undefined {
  if (text === '') return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('a % in it is not followed by two hexadecimal digits');
  }
}

function parsePort(text: string | undefined): number {
  if (text === undefined) return 5432;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw invalid('its port is not a number');
  return port;
}

function parseSeconds(text: string | undefined): number {
  if (text === undefined) return defaultConnectTimeoutS;
  const seconds = Number(text);
  if (!Number.isInteger(seconds) || seconds < 0) throw invalid('connect_timeout wants whole seconds');
  return seconds;
}

function parseTlsMode(sslMode: string): TlsMode {
  if (sslMode === 'disable') return 'disable';
  return sslMode === 'prefer' || sslMode === 'allow' ? 'prefer' : 'require';
}

function invalid(why: string): KnownError {
  return new KnownError('P1013', `The provided database string is invalid: ${why}.`);
}
