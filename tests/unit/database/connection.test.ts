import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatConnection,
  libpqEnvironment,
  parseConnection,
  quoteIdentifier,
  quoteLiteral,
  type Connection,
} from '../../../orchestrator/database/connection.ts';
import { Refusal } from '../../../orchestrator/lib/errors.ts';

const parse = (url: string): Connection => parseConnection(url, 'DATABASE_URL');

/** What a piece of work throws; undefined if nothing. */
function errorOf(work: () => unknown): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('a URL is read', () => {
  test.each<[string, Partial<Connection>]>([
    [
      'postgresql://app:pw@db:5433/shop',
      { host: 'db', port: 5433, user: 'app', password: 'pw', database: 'shop', parameters: {} },
    ],
    ['postgres://db/shop', { host: 'db', port: 5432, user: 'postgres', password: '' }],
    ['postgresql:///shop', { host: 'localhost', database: 'shop' }],
    ['postgresql://a%40b:p%2F%3A%23w@db/my%20shop', { user: 'a@b', password: 'p/:#w', database: 'my shop' }],
    [
      'postgresql://db/shop?schema=other&sslmode=require',
      { parameters: { schema: 'other', sslmode: 'require' } },
    ],
    [
      'postgresql://u@localhost:5433/shop?host=/run/postgresql',
      { host: '/run/postgresql', port: 5433, parameters: {} },
    ],
    ['postgresql://u@%2Frun%2Fpostgresql/shop', { host: '/run/postgresql' }],
    ['postgresql://u@[::1]:5433/shop', { host: '::1', port: 5433 }],
  ])('%s', (url, expected) => {
    expect(parse(url)).toMatchObject(expected);
  });
});

describe('a URL that will not do is refused, naming the variable and never the password', () => {
  test.each([
    ['nonsense', 'cannot use DATABASE_URL: it is not a URL'],
    ['', 'cannot use DATABASE_URL: it is not a URL'],
    ['mysql://app:topsecret@db/shop', 'cannot use DATABASE_URL: a mysql:// URL is not a PostgreSQL one'],
    ['file:./dev.db', 'cannot use DATABASE_URL: a file:// URL is not a PostgreSQL one'],
    ['postgresql://app:topsecret@db/', 'cannot use DATABASE_URL: it names no database'],
    [
      'postgresql://app:topsecret%zz@db/shop',
      'cannot use DATABASE_URL: a "%" in it is not followed by two digits',
    ],
  ])('%s', (url, message) => {
    expect(() => parse(url)).toThrow(Refusal);
    expect(() => parse(url)).toThrow(expect.objectContaining({ message }));
  });

  test('whatever it is: no other error comes out', () => {
    const url = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.webUrl(),
      fc.string().map((rest) => `postgresql://${rest}`),
      fc.string().map((rest) => `postgresql://u:${rest}@db/${rest}?${rest}`),
    );
    fc.assert(
      fc.property(url, (one) => {
        expect(errorOf(() => parse(one)) ?? new Refusal('none')).toBeInstanceOf(Refusal);
      }),
      { numRuns: 1000 },
    );
  });
});

/** Anything that PostgreSQL allows; a URL takes away "." and ".." as names, which nobody gives a database. */
const text = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 20 })
  .filter((value) => !value.includes('\0'));
const connection: fc.Arbitrary<Connection> = fc.record({
  host: fc.oneof(
    fc.domain(),
    fc.ipV4(),
    fc.constantFrom('::1', 'fe80::1', '2001:db8::8:800:200c:417a'),
    fc.constantFrom('/run/postgresql', '/var/run/my sockets'),
  ),
  port: fc.integer({ min: 1, max: 65_535 }),
  user: text,
  password: fc.oneof(text, fc.constant('')),
  database: text.filter((value) => !/^(\.|%2e){1,2}$/i.test(value)),
  parameters: fc.dictionary(fc.constantFrom('schema', 'sslmode', 'connect_timeout', 'options'), text, {
    noNullPrototype: true,
  }),
});

test('any connection survives being written as a URL and read again', () => {
  fc.assert(
    fc.property(connection, (one) => {
      const url = formatConnection(one);
      expect(url).toMatch(/^postgresql:\/\/[\x21-\x7e]+$/);
      expect(parse(url)).toEqual(one);
    }),
    { numRuns: 1000 },
  );
});

describe('as variables of libpq', () => {
  const base: Connection = {
    host: 'db',
    port: 5433,
    user: 'app',
    password: 'pw',
    database: 'shop',
    parameters: {},
  };

  test('everything is said, and the session carries its name', () => {
    expect(libpqEnvironment(base, 'holdfast:r1')).toEqual({
      PGHOST: 'db',
      PGPORT: '5433',
      PGUSER: 'app',
      PGPASSWORD: 'pw',
      PGDATABASE: 'shop',
      PGAPPNAME: 'holdfast:r1',
      PGCONNECT_TIMEOUT: '10',
    });
  });

  test('what Prisma calls schema is the search path, escaped as options are', () => {
    const parameters = {
      schema: 'my shop\\x',
      sslmode: 'verify-full',
      sslrootcert: '/ca.pem',
      connect_timeout: '3',
    };
    expect(libpqEnvironment({ ...base, parameters }, 'x')).toMatchObject({
      PGOPTIONS: '-c search_path=my\\ shop\\\\x',
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: '/ca.pem',
      PGCONNECT_TIMEOUT: '3',
    });
  });

  test('an IPv6 address has no brackets', () => {
    expect(libpqEnvironment(parse('postgresql://u@[::1]/shop'), 'x')['PGHOST']).toBe('::1');
  });
});

/** Reads one quoted token as PostgreSQL's scanner does (scan.l); undefined if the text is not exactly one. */
function scanIdentifier(sql: string): string | undefined {
  const match = /^"((?:[^"]|"")+)"$/s.exec(sql);
  return match?.[1]?.replaceAll('""', '"');
}
function scanLiteral(sql: string): string | undefined {
  const match = /^\s*(E?)'((?:[^'\\]|''|\\.)*)'$/is.exec(sql);
  if (!match) return undefined;
  const [, escaped, body = ''] = match;
  return escaped
    ? body.replaceAll(/''|\\(.)/gs, (_whole, after: string | undefined) => after ?? "'")
    : body.replaceAll("''", "'");
}

test('a name and a text are quoted so that the server reads the very same', () => {
  const weird = fc.oneof(text, fc.stringMatching(/^['"\\;$ \n-]{1,12}$/));
  fc.assert(
    fc.property(weird, (value) => {
      expect(scanIdentifier(quoteIdentifier(value))).toBe(value);
      expect(scanLiteral(quoteLiteral(value))).toBe(value);
    }),
    {
      numRuns: 2000,
      examples: [["'; drop table x; --"], ["\\'; drop table x; --"], ['"'], ['\\'], ["\\\\''"]],
    },
  );
});

test('quoted texts with a backslash cannot merge with a word before them', () => {
  expect(`name=${quoteLiteral('a\\b')}`).toBe("name= E'a\\\\b'");
});
