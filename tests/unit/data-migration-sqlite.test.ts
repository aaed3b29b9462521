import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { readDatabaseUrl, sqliteFile } from '../../backend/src/data-migrations/database-url.ts';
import { countStatements, findSqliteProblem } from '../../backend/src/data-migrations/sqlite/statements.ts';
import { decodeKey, encodeKey } from '../../backend/src/data-migrations/sqlite/target.ts';
import { timestampFormatOf, toSqlite } from '../../backend/src/data-migrations/sqlite/values.ts';

describe('a file of SQL is one transaction', () => {
  test.for([
    'UPDATE a SET b = 1',
    `INSERT INTO a VALUES ('it''s; COMMIT;')`,
    'UPDATE a SET "END" = 1; -- COMMIT;\n/* BEGIN; */ UPDATE a SET [COMMIT;] = `END;`',
    'CREATE TEMP TRIGGER t AFTER UPDATE ON a BEGIN UPDATE b SET c = CASE WHEN 1 THEN 2 END; DELETE FROM d; END; DELETE FROM e',
    'SAVEPOINT s; UPDATE a SET b = 1; ROLLBACK TO s; RELEASE s',
    'SELECT 1; ROLLBACK TRANSACTION TO SAVEPOINT s',
    '\uFEFFUPDATE a SET begin_at = 1;;',
  ])('%s', (sql) => {
    expect(findSqliteProblem(sql)).toBeUndefined();
  });

  test.for([
    ['BEGIN; UPDATE a SET b = 1; COMMIT', 'a transaction of its own'],
    ['UPDATE a SET b = 1; end', 'a transaction of its own'],
    ['/* x */ Rollback', 'a transaction of its own'],
    ['CREATE TRIGGER t AFTER UPDATE ON a BEGIN DELETE FROM b; END; COMMIT', 'a transaction of its own'],
    ['UPDATE a SET b = 1; VACUUM', 'does not do in a transaction (VACUUM)'],
    ['PRAGMA foreign_keys = off; DROP TABLE a', 'does not do in a transaction (PRAGMA foreign_keys)'],
    [`ATTACH 'x' AS y`, 'does not do in a transaction (ATTACH)'],
    ['-- nothing\n;', 'it holds no statement'],
  ] as const)('%s: %s', ([sql, problem]) => {
    expect(findSqliteProblem(sql)).toContain(problem);
  });

  test('statements are counted, not semicolons', () => {
    expect(countStatements(`UPDATE a SET b = ';' -- ;\n;`)).toBe(1);
    expect(countStatements('UPDATE a SET b = 1; UPDATE c SET d = 2')).toBe(2);
  });
});

describe('the address of a file', () => {
  test('is absolute, or found from the package, whichever directory one is in', () => {
    expect(readDatabaseUrl({ DATABASE_URL: 'file:/srv/my data/a.db' })).toBe('file:/srv/my data/a.db');
    expect(sqliteFile('file:///srv/a.db')).toBe('/srv/a.db');
    expect(sqliteFile('file:./data/../a.db', '/srv/app')).toBe('/srv/app/a.db');
  });

  test.for([
    ['file:', 'names no file'],
    ['file::memory:', 'names no file'],
    ['file:./a.db?connection_limit=1', 'holds "?"'],
    ['file:/srv/my%20data/a.db', 'holds "%"'],
    ['file://host/a.db', 'names a host'],
  ] as const)('%s is refused: %s', ([url, reason]) => {
    expect(() => sqliteFile(url, '/srv/app')).toThrow(reason);
  });

  test('by the folder of the schema, as Prisma had it before 7, it is unclear', () => {
    const folder = mkdtempSync(join(tmpdir(), 'address-'));
    mkdirSync(join(folder, 'prisma'));
    writeFileSync(join(folder, 'prisma/dev.db'), '');
    expect(() => sqliteFile('file:./dev.db', folder)).toThrow(`${folder}/prisma/dev.db is there`);
    writeFileSync(join(folder, 'dev.db'), '');
    expect(() => sqliteFile('file:./dev.db', folder)).toThrow('both');
    expect(sqliteFile('file:./prisma/dev.db', folder)).toBe(join(folder, 'prisma/dev.db'));
    rmSync(folder, { recursive: true });
  });
});

test.for([1n, -(2n ** 63n), 1.5, 1e300, -0.1, Infinity, `it's`, '', '12', `x'00'`, Buffer.from([0, 255])])(
  'the key %s comes back as it was',
  (value) => {
    expect(decodeKey(encodeKey(value))).toEqual(value);
  },
);

describe('the form of dates', () => {
  const ISO = '2026-01-01T00:00:00.000+00:00';
  const MS = 1763740000000;
  const formatOf = (...values: (string | number)[]): ReturnType<typeof timestampFormatOf> => {
    const database = new DatabaseSync(':memory:');
    database.exec(`CREATE TABLE users (born DATETIME);
      CREATE TABLE _prisma_migrations (started_at DATETIME); INSERT INTO _prisma_migrations VALUES (${MS});
      CREATE TABLE holdfast_kept (at DATETIME); INSERT INTO holdfast_kept VALUES (${MS});`);
    for (const value of values) database.prepare('INSERT INTO users VALUES (?)').run(value);
    return timestampFormatOf(database);
  };

  test('is that of the application, not of the tables of Prisma and of the engine', () => {
    expect(formatOf()).toBe('iso8601');
    expect(formatOf(ISO)).toBe('iso8601');
    expect(formatOf(MS)).toBe('unixepoch-ms');
    // CURRENT_TIMESTAMP is the form of a default, and of no client.
    expect(formatOf(MS, '2026-01-01 00:00:00')).toBe('unixepoch-ms');
  });

  test('is unclear where both are, and then no date is written', () => {
    const format = formatOf(ISO, MS);
    expect(() => toSqlite(new Date(5), format)).toThrow('set DATA_MIGRATION_TIMESTAMPS');
    expect(toSqlite('text', format)).toBe('text');
  });
});
