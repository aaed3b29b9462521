import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { lint } from '../../../orchestrator/schema-migrations/lint/lint.ts';
import { sqliteReviewer } from '../../../orchestrator/schema-migrations/lint/sqlite/lint.ts';
import { Sandbox } from '../../../orchestrator/schema-migrations/lint/sqlite/sandbox.ts';
import { splitSqlite } from '../../../orchestrator/schema-migrations/lint/sqlite/statements.ts';
import type { MigrationFile } from '../../../orchestrator/schema-migrations/migration-file.ts';
import { sqliteCases } from '../../fixtures/lint/sqlite.ts';
import { sqliteSchemaBefore } from '../../fixtures/lint/sqlite-tables.ts';
import { temporaryCases } from '../../fixtures/lint/sqlite-temporary.ts';

/* The lint on SQLite, where Prisma rebuilds a table for nearly every change: what counts is what is there afterwards. */

const second = '20260201000000_second';
const file = (name: string, sql: string): MigrationFile => ({
  ...{ name, sql, file: `prisma/migrations/${name}/migration.sql`, down: undefined },
});

async function findings(sql: string, rows?: number, table = 'User') {
  const sizes = rows === undefined ? undefined : new Map([[table, { rows, bytes: rows * 100 }]]);
  const files = [file('20260101000000_first', sqliteSchemaBefore), file(second, sql)];
  const [linted] = lint(files, await sqliteReviewer(sizes), { pending: new Set([second]) });
  return linted?.findings ?? [];
}

describe.each(Object.entries(sqliteCases))('%s', (rule, { found, clean }) => {
  test.each(found)('finds %j', async (sql, line) => {
    expect(await findings(sql)).toContainEqual(expect.objectContaining({ rule, line, migration: second }));
  });

  test.each(clean.map((sql) => [sql]))('leaves alone %j', async (sql) => {
    expect((await findings(sql)).map((finding) => finding.rule)).not.toContain(rule);
  });
});

/** What an update asks before: by the rules that find it. */
const destructive = async (...of: Parameters<typeof findings>) =>
  (await findings(...of)).filter((one) => one.destructive).map(({ rule }) => rule);

test.each([
  ['DELETE FROM user;', ['delete-without-where']],
  ['DROP TABLE user; CREATE TABLE User (id);', ['update-without-where', 'drop-table']],
  ["ATTACH 'x' AS x;", ['outside-database']],
  ['DROP TABLE "Team"; DROP TABLE "Badge";', ['drop-table', 'drop-table']],
  ['DROP TABLE "Team";', ['delete-without-where', 'drop-table']],
  // Nothing is lost by these.
  ["ALTER TABLE User ADD phone TEXT;\nUPDATE User SET phone = '';", []],
  ['ALTER TABLE User RENAME TO Person; ALTER TABLE Person RENAME COLUMN name TO full;', []],
  ["VACUUM INTO 'x';", []],
])('an update asks before it: %j', async (sql, rules) => {
  expect(await destructive(sql)).toEqual(rules);
});

test.each(temporaryCases)('rows that go through a temporary table: %s', async (sql, rules) => {
  expect(await findings(sql)).not.toContainEqual(expect.objectContaining({ rule: 'syntax-error' }));
  expect(await destructive(sql)).toEqual(rules);
});

test.each([
  ['DROP TABLE IF EXISTS spare;', 'drop-table'],
  ['DELETE FROM "Spare";', 'delete-without-where'],
  ['UPDATE OR IGNORE spare SET a = 1;', 'update-without-where'],
  ['DELETE FROM spare WHERE (1 OR a = 2);', 'delete-without-where'],
  ['UPDATE spare SET a = 0 FROM "Team" t WHERE t.id > 3;', 'update-without-where'],
  ['ALTER TABLE spare DROP COLUMN a;', 'drop-column'],
  ['CREATE TABLE IF NOT EXISTS spare (a);\nDELETE FROM spare;', 'delete-without-where'],
  ['CREATE TABLE IF NOT EXISTS spare (a);\nDROP TABLE spare;', 'drop-table'],
])('a table that no file made, with rows in the database: %j', async (sql, rule) => {
  expect(await destructive(sql, 7, 'spare')).toEqual([rule]);
  expect(await destructive(sql, 0, 'spare')).toEqual([]);
  expect(await destructive(sql)).toEqual([]);
});

test('of a table that no file made, rows of its own choice are no loss', async () => {
  expect(await destructive('DELETE FROM spare WHERE (a = 1 OR b = 2);', 7, 'spare')).toEqual([]);
});

test('a table that the database does not have holds no rows', async () => {
  expect(await findings('DROP TABLE IF EXISTS "tmp_import";', 500)).toEqual([]);
});

test('nothing outside of its own database in memory is written or read', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lint-'));
  try {
    const victim = join(folder, 'victim.db');
    const database = new DatabaseSync(victim);
    database.exec('CREATE TABLE rows (i); INSERT INTO rows VALUES (1), (2), (3)');
    for (const sql of [
      `ATTACH '${victim}' AS live;\nDELETE FROM live.rows;\nDETACH live;`,
      `CREATE TABLE "a;b" (i); /* ' */ ATTACH '${folder}/new.db' AS n; CREATE TABLE n.t (i);`,
      `VACUUM INTO '${folder}/copy.db';`,
      `SELECT 1; EXPLAIN SELECT 1; VACUUM main INTO '${folder}/copy.db';`,
    ])
      expect(await findings(sql)).toContainEqual(expect.objectContaining({ rule: 'outside-database' }));
    expect(readdirSync(folder)).toEqual(['victim.db']);
    expect(database.prepare('SELECT count(*) AS n FROM rows').get()).toEqual({ n: 3 });
    database.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.each(["ATTACH 'x.db' AS x", 'DETACH main', "VACUUM INTO 'x.db'", "SELECT load_extension('x')"])(
  'SQLite itself refuses in the sandbox: %s',
  async (sql) => {
    const sandbox = await Sandbox.open();
    const [statement] = splitSqlite(sql).statements;
    expect(statement && sandbox.attempt(statement).error).toMatch(/not authorized|authorization denied/);
  },
);

test('on an empty table nothing is lost', async () => {
  const drop = 'ALTER TABLE "User" DROP COLUMN "age";';
  expect(await findings(drop, 0)).toMatchObject([{ rule: 'drop-column', destructive: false }]);
  expect(await findings(drop, 1)).toMatchObject([{ rule: 'drop-column', destructive: true }]);
});
