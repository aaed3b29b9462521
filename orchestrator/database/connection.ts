import { Refusal } from '../lib/errors.ts';

/** Where a PostgreSQL database is, in parts. */
export interface Connection {
  /** Host name, address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** What else the URL said: sslmode, schema, ... */
  readonly parameters: Readonly<Record<string, string>>;
}

/**
 * Reads a PostgreSQL URL as Prisma and node-postgres write it; libpq itself refuses parameters such as `schema`.
 *
 * @throws Refusal that names the variable and not the URL, which holds a password
 */
export function parseConnection(url: string, variable: string): Connection {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new Refusal(
      `cannot use ${variable}: it is not a URL`,
      `set ${variable} to postgresql://USER:PASSWORD@HOST:PORT/DATABASE`,
    );
  }
  if (!['postgres:', 'postgresql:'].includes(parsed.protocol)) {
    throw new Refusal(`cannot use ${variable}: a ${parsed.protocol}// URL is not a PostgreSQL one`);
  }
  const parameters = Object.fromEntries(parsed.searchParams);
  const { host, ...rest } = parameters;
  const decode = (text: string) => {
    try {
      return decodeURIComponent(text);
    } catch {
      throw new Refusal(
        `cannot use ${variable}: a "%" in it is not followed by two digits`,
        'write "%25" for it',
      );
    }
  };
  const database = decode(parsed.pathname.slice(1));
  if (database === '') throw new Refusal(`cannot use ${variable}: it names no database`);
  return {
    // An IPv6 address stands in brackets in a URL, and without them everywhere else.
    host: host ?? (decode(parsed.hostname).replace(/^\[(.*)\]$/, '$1') || 'localhost'),
    port: Number(parsed.port || '5432'),
    user: decode(parsed.username) || 'postgres',
    password: decode(parsed.password),
    database,
    parameters: rest,
  };
}

/** The inverse of `parseConnection`: a URL that Prisma, node-postgres and psql read alike. */
export function formatConnection(connection: Connection): string {
  const { host, port, user, password, database, parameters } = connection;
  const onSocket = host.startsWith('/');
  const query = new URLSearchParams({ ...(onSocket ? { host } : {}), ...parameters })
    .toString()
    .replaceAll('+', '%20');
  const authority = `${encodeURIComponent(user)}:${encodeURIComponent(password)}@${onSocket ? 'localhost' : host.includes(':') ? `[${host}]` : host}:${port}`;
  return `postgresql://${authority}/${encodeURIComponent(database)}${query === '' ? '' : `?${query}`}`;
}

/**
 * The URLs among these variables without their password, which goes into PGPASSWORD: for programs that put a URL on a
 * command line of their own, where everybody on the machine can read it, and that fall back to libpq's variables.
 */
export function hidePassword(variables: Readonly<Record<string, string>>): Record<string, string> {
  const hidden: Record<string, string> = {};
  for (const [name, value] of Object.entries(variables)) {
    if (!/^postgres(ql)?:\/\//.test(value)) {
      hidden[name] = value;
      continue;
    }
    const url = new URL(value);
    if (url.password !== '') hidden['PGPASSWORD'] ??= decodeURIComponent(url.password);
    url.password = '';
    hidden[name] = url.href;
  }
  return hidden;
}

/** The same as variables of libpq, which keep the password out of the process list. */
export function libpqEnvironment(connection: Connection, applicationName: string): Record<string, string> {
  const { parameters } = connection;
  return {
    PGHOST: connection.host,
    PGPORT: String(connection.port),
    PGUSER: connection.user,
    PGPASSWORD: connection.password,
    PGDATABASE: connection.database,
    PGAPPNAME: applicationName,
    PGCONNECT_TIMEOUT: parameters['connect_timeout'] ?? '10',
    ...(parameters['schema']
      ? { PGOPTIONS: `-c search_path=${parameters['schema'].replaceAll(/[\\ ]/g, '\\$&')}` }
      : {}),
    ...(parameters['sslmode'] ? { PGSSLMODE: parameters['sslmode'] } : {}),
    ...(parameters['sslrootcert'] ? { PGSSLROOTCERT: parameters['sslrootcert'] } : {}),
  };
}

/** A name as SQL writes it. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text as SQL writes it. */
export function quoteLiteral(text: string): string {
  return text.includes('\\')
    ? ` E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
    : `'${text.replaceAll("'", "''")}'`;
}
