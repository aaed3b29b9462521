import { describe, expect, test } from 'vitest';
import { lint } from '../../../orchestrator/schema-migrations/lint/lint.ts';
import { sqliteReviewer } from '../../../orchestrator/schema-migrations/lint/sqlite/lint.ts';
import type { MigrationFile } from '../../../orchestrator/schema-migrations/migration-file.ts';
import { sqliteCases, sqliteSchemaBefore } from '../../fixtures/lint/sqlite.ts';

/* The lint on SQLite, where Prisma rebuilds a table for nearly every change: what counts is what is there afterwards. */

const second = '20260201000000_second';
const file = (name: string, sql: string): MigrationFile => ({
  ...{ name, sql, file: `prisma/migrations/${name}/migration.sql`, down: undefined },
});

async function findings(sql: string, rows?: number) {
  const sizes = rows === undefined ? undefined : new Map([['User', { rows, bytes: rows * 100 }]]);
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

test('on an empty table nothing is lost', async () => {
  const drop = 'ALTER TABLE "User" DROP COLUMN "age";';
  expect(await findings(drop, 0)).toMatchObject([{ rule: 'drop-column', destructive: false }]);
  expect(await findings(drop, 1)).toMatchObject([{ rule: 'drop-column', destructive: true }]);
});
