import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { TableSizes } from '../../../orchestrator/schema-migrations/lint/finding.ts';
import { lint } from '../../../orchestrator/schema-migrations/lint/lint.ts';
import { postgresReviewer } from '../../../orchestrator/schema-migrations/lint/postgres/lint.ts';
import { rules } from '../../../orchestrator/schema-migrations/lint/rules.ts';
import { judge } from '../../../orchestrator/schema-migrations/lint/verdict.ts';
import { checksumOf, type MigrationFile } from '../../../orchestrator/schema-migrations/migration-file.ts';
import { postgresCases, schemaBefore } from '../../fixtures/lint/postgres.ts';

const first = '20260101000000_first';
const second = '20260201000000_second';

const file = (name: string, sql: string, down?: string): MigrationFile => ({
  ...{ name, sql, file: `prisma/migrations/${name}/migration.sql` },
  down: down === undefined ? undefined : { sql: down, file: `prisma/migrations/${name}/down.sql` },
});

/** What the lint says of one migration after the schema that the cases have. */
async function findings(sql: string, sizes?: TableSizes) {
  const [linted] = lint([file(first, schemaBefore), file(second, sql)], await postgresReviewer(sizes), {
    pending: new Set([second]),
  });
  return linted?.findings ?? [];
}

describe.each(Object.entries(postgresCases))('%s', (rule, { found, clean }) => {
  test.each(found)('finds %j', async (sql, line) => {
    expect(await findings(sql)).toContainEqual(expect.objectContaining({ rule, line, migration: second }));
  });

  test.each(clean.map((sql) => [sql]))('leaves alone %j', async (sql) => {
    expect((await findings(sql)).map((finding) => finding.rule)).not.toContain(rule);
  });
});

test('what this grammar does not read, and a later server may, is asked about where it may take something away', async () => {
  const [loss] = await findings('DROP TABLE users WITH CARE;');
  expect(loss).toMatchObject({ rule: 'syntax-error' });
  expect(await findings('DROP TABLE users WITH CARE;')).toContainEqual(
    expect.objectContaining({ rule: 'dynamic-sql', destructive: true }),
  );
  expect(await findings('SELECT WITH CARE;')).not.toContainEqual(
    expect.objectContaining({ destructive: true }),
  );
});

test('every rule has a case that it finds and one that it does not', () => {
  const ofTheFile = ['name', 'edited', 'no-down'];
  expect([...Object.keys(postgresCases), ...ofTheFile].toSorted()).toEqual(Object.keys(rules).toSorted());
  for (const { found, clean } of Object.values(postgresCases)) {
    expect(found.length).toBeGreaterThan(0);
    expect(clean.length).toBeGreaterThan(0);
  }
});

describe('the size of the table', () => {
  const sized = (rows: number): TableSizes => new Map([['users', { rows, bytes: rows * 100 }]]);
  const severityOf = async (sql: string, rows: number) =>
    (await findings(`SET lock_timeout = '1s'; ${sql}`, sized(rows))).map(({ severity }) => severity);

  test('a hundred rows are no matter for an index, a million are', async () => {
    const index = 'CREATE INDEX users_age ON users (age);';
    expect(await severityOf(index, 100)).toEqual([]);
    expect(await severityOf(index, 200_000)).toEqual(['warning']);
    expect(await severityOf(index, 2_000_000)).toEqual(['error']);
    expect((await findings(index, sized(2_000_000)))[0]?.message).toContain('(2,000,000 rows)');
  });

  test('a lock on a hundred rows is no matter, on a million it is', async () => {
    const locks = 'LOCK TABLE users; VACUUM FULL users; REINDEX TABLE users; CLUSTER users;';
    expect(await severityOf(locks, 100)).toEqual([]);
    expect(await severityOf(locks, 2_000_000)).toEqual(['error', 'error', 'error', 'error']);
  });

  test('the recipe for a unique index on a big table is no error itself', async () => {
    const index = async (how: string) =>
      (await findings(`CREATE UNIQUE INDEX ${how} u ON users (email);`, sized(2_000_000))).filter(
        ({ severity }) => severity === 'error',
      );
    expect(await index('CONCURRENTLY')).toEqual([]);
    expect(await index('')).not.toEqual([]);
  });

  test('what fails on one row is an error on one row, and nothing on none', async () => {
    const column = 'ALTER TABLE users ADD COLUMN phone text NOT NULL;';
    expect(await severityOf(column, 1)).toEqual(['error']);
    expect(await severityOf(column, 0)).toEqual([]);
    const unique = 'ALTER TABLE users ADD CONSTRAINT u UNIQUE (email);';
    expect(await severityOf(unique, 2)).toEqual(['warning']);
    expect(await severityOf(unique, 0)).toEqual([]);
  });

  test('to drop an empty table loses nothing', async () => {
    const drop = `SET lock_timeout = '1s'; DROP TABLE users;`;
    expect(await findings(drop, sized(0))).toMatchObject([{ severity: 'info', destructive: false }]);
    expect(await findings(drop, sized(1))).toMatchObject([{ severity: 'error', destructive: true }]);
    expect(await findings(drop)).toMatchObject([{ severity: 'error', destructive: true }]);
  });
});

test('to drop a table if it is there loses nothing in a database that has none', async () => {
  const sql = `SET lock_timeout = '1s'; DROP TABLE IF EXISTS tmp_import;`;
  const known: TableSizes = new Map([['users', { rows: 5, bytes: 500 }]]);
  expect(await findings(sql, known)).toEqual([]);
  expect(await findings(sql)).toMatchObject([{ rule: 'drop-table', destructive: true }]);
  const elsewhere: TableSizes = new Map([['app.tmp_import', { rows: 5, bytes: 500 }]]);
  const records = `DROP TABLE IF EXISTS _prisma_migrations, holdfast.data_migrations;`;
  expect(await findings(records, known)).toContainEqual(expect.objectContaining({ destructive: true }));
  expect(await findings(sql, elsewhere)).toMatchObject([{ rule: 'drop-table', destructive: true }]);
  const moved = `ALTER SCHEMA sales RENAME TO trade; DROP TABLE IF EXISTS trade.orders;`;
  expect(await findings(moved, known)).toContainEqual(expect.objectContaining({ destructive: true }));
  const renamed = `ALTER TABLE app RENAME TO tmp_import; ${sql}`;
  expect(await findings(renamed, known)).toContainEqual(expect.objectContaining({ destructive: true }));
});

test.each(['TABLE', 'TEMP TABLE'])(
  'a %s that a block makes is new where the database is known to have none of that name',
  async (kind) => {
    const sql = `SET lock_timeout = '1s'; DO $$ BEGIN CREATE ${kind} work (i int); DELETE FROM work; DROP TABLE work; END $$;`;
    const size = { rows: 5, bytes: 500 };
    expect(await findings(sql, new Map([['users', size]]))).toEqual([]);
    expect(await findings(sql, new Map([['work', size]]))).toContainEqual(
      expect.objectContaining({ rule: 'drop-table', destructive: true }),
    );
  },
);

test.each([
  ["EXECUTE format('UPDATE %I SET name = NULL', t)", true],
  ["EXECUTE format('ALTER TABLE %I DROP COLUMN a', t)", true],
  ["s := 'TRUNCATE '; EXECUTE s || t", true],
  ["IF t = 'x' THEN s := 'ALTER ROLE app'; END IF; EXECUTE s", true],
  ["EXECUTE 'ANALYZE ' || t", false],
  ['DECLARE r users%ROWTYPE; BEGIN r.age := 1; DELETE FROM users; END', true],
  ['DECLARE r users%ROWTYPE; BEGIN r.age := 1; -- DROP nothing\n END', false],
  ["UPDATE users SET name = '' WHERE id = 1; EXECUTE 'ANALYZE ' || t /* DROP it */", false],
  ["EXECUTE format('SELECT 1 FROM %I FOR UPDATE', t)", false],
])('what is put together while it runs is asked about by its words: %s is a loss: %s', async (body, loss) => {
  const sql = `DO $$ DECLARE t text; s text; BEGIN ${body};\nEND $$;`;
  expect(await findings(sql)).toContainEqual(
    expect.objectContaining({ rule: 'dynamic-sql', destructive: loss }),
  );
});

describe('the file', () => {
  const looked = async (migrations: readonly MigrationFile[], options: Parameters<typeof lint>[2] = {}) =>
    lint(migrations, await postgresReviewer(), options).flatMap((one) =>
      one.findings.map(({ rule }) => rule),
    );

  test.each([
    ['20260101120000_add_users', true],
    ['20260101120000_AddUsers', false],
    ['20261301120000_add_users', false],
    ['20260231120000_add_users', false],
    ['20260101250000_add_users', false],
    ['0001_init', false],
    ['20260101120000_', false],
  ])('%s is named as it must be: %s', async (name, good) => {
    expect(await looked([file(name, 'SELECT 1')])).toEqual(good ? [] : ['name']);
  });

  test('edited after it was applied, also where it is not looked at otherwise', async () => {
    const files = [file(first, 'SELECT 1;\n'), file(second, 'SELECT 2;\n')];
    const applied = new Map([[first, checksumOf('SELECT 1;\r\n')]]);
    expect(await looked(files, { applied, pending: new Set() })).toEqual([]);
    expect(
      await looked(files, { applied: new Map([[first, checksumOf('SELECT 3;')]]), pending: new Set() }),
    ).toEqual(['edited']);
  });

  test('a way back where it is asked for', async () => {
    const bare = [file(first, 'SELECT 1')];
    expect(await looked(bare)).toEqual([]);
    expect(await looked(bare, { requireDown: true })).toEqual(['no-down']);
    expect(await looked([file(first, 'SELECT 1', 'SELECT 2')], { requireDown: true })).toEqual([]);
    expect(
      await looked([file(first, '-- Rollback: DROP TABLE x;\nSELECT 1')], { requireDown: true }),
    ).toEqual([]);
  });
});

test('an accepted finding is kept with its reason, and stops nobody', async () => {
  const sql = `SET lock_timeout = '1s';\n-- holdfast:accept drop-table: archived in 2.3\nDROP TABLE users;`;
  const [linted] = lint([file(first, schemaBefore), file(second, sql)], await postgresReviewer(), {
    pending: new Set([second]),
  });
  expect(linted?.findings).toMatchObject([{ rule: 'drop-table', line: 3, accepted: 'archived in 2.3' }]);
  expect(judge(linted ? [linted] : [])).toMatchObject({ ok: true, errors: 0, accepted: 1, destructive: [] });
});

test('what a vendor says in comments is read, and not what stands in texts', async () => {
  const sql = `-- Requires application version >= 2.4.0
-- BREAKING: orders without a customer are refused
-- Rollback: ALTER TABLE users DROP COLUMN a;
/* Rollback: DROP TYPE x; */
SELECT '-- BREAKING: not this one';`;
  const { directives } = (await postgresReviewer())(sql);
  expect(directives).toMatchObject({
    requiresVersion: '2.4.0',
    breaking: ['orders without a customer are refused'],
    rollback: ['ALTER TABLE users DROP COLUMN a;', 'DROP TYPE x;'],
  });
});

test('of several versions that are asked for, the highest counts', async () => {
  const asked = ['2.9', '2.10.0', '2.4'].map((one) => `-- Requires application version >= ${one}\n`);
  const { directives } = (await postgresReviewer())(`${asked.join('')}SELECT 1;`);
  expect(directives.requiresVersion).toBe('2.10.0');
});

test('a transaction of its own is told once', async () => {
  const told = (await findings('BEGIN;\nSELECT 1;\nCOMMIT;')).map(({ rule }) => rule);
  expect(told).toEqual(['explicit-transaction']);
});

test('lines are right behind letters of several bytes', async () => {
  expect(await findings('-- ÄÖÜ 漢字 🙂\nSELECT 1;\n\n  -- here\n  DROP TABLE users;')).toContainEqual(
    expect.objectContaining({ rule: 'drop-table', line: 5 }),
  );
});

test('the documentation has every rule', () => {
  const text = readFileSync(join(import.meta.dirname, '../../../docs/MIGRATIONS.md'), 'utf8');
  for (const [name, { severity, why }] of Object.entries(rules))
    expect(text.replaceAll(/ +/g, ' ')).toContain(`| \`${name}\` | ${severity} | ${why} |`);
});
