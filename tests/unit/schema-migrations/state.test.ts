import { describe, expect, test } from 'vitest';
import type { AppliedMigration, SchemaInspection } from '../../../orchestrator/database/engine.ts';
import { checksumOf, type MigrationFile } from '../../../orchestrator/schema-migrations/migration-file.ts';
import {
  explainPrismaCode,
  isPending,
  schemaProblems,
  schemaStates,
} from '../../../orchestrator/schema-migrations/state.ts';

const file = (name: string, sql = 'SELECT 1;\n'): MigrationFile => ({
  name,
  sql,
  file: `m/${name}/migration.sql`,
  down: undefined,
});
const row = (name: string, more: Partial<AppliedMigration> = {}): AppliedMigration => ({
  ...{ name, finished: true, rolledBack: false, checksum: checksumOf('SELECT 1;\n') },
  ...{ startedAt: '2026-01-01T00:00:00Z', log: null },
  ...more,
});
const nothing: SchemaInspection = { hasMigrationsTable: true, tables: [], lockHolders: [] };

describe('what a migration is', () => {
  const stateOf = (files: readonly MigrationFile[], rows: readonly AppliedMigration[]) =>
    schemaStates(files, rows).map(({ name, state }) => `${name}: ${state}`);

  test.each<[string, MigrationFile[], AppliedMigration[], string[]]>([
    ['not there yet', [file('1_a')], [], ['1_a: pending']],
    ['applied', [file('1_a')], [row('1_a')], ['1_a: applied']],
    ['applied with other line endings', [file('1_a', 'SELECT 1;\r\n')], [row('1_a')], ['1_a: applied']],
    ['changed since', [file('1_a', 'SELECT 2;')], [row('1_a')], ['1_a: edited']],
    ['gone from disk', [], [row('1_a')], ['1_a: missing']],
    ['failed', [file('1_a')], [row('1_a', { finished: false })], ['1_a: failed']],
    ['rolled back', [file('1_a')], [row('1_a', { finished: false, rolledBack: true })], ['1_a: rolled back']],
    [
      'rolled back, then applied',
      [file('1_a')],
      [row('1_a', { finished: false, rolledBack: true }), row('1_a')],
      ['1_a: applied'],
    ],
    ['rolled back, and not in this version', [], [row('1_a', { rolledBack: true })], []],
    ['in order', [file('2_b'), file('1_a')], [row('1_a')], ['1_a: applied', '2_b: pending']],
  ])('%s', (_what, files, rows, expected) => {
    expect(stateOf(files, rows)).toEqual(expected);
  });

  test('what is rolled back is pending, too; what failed says why', () => {
    const [one] = schemaStates([file('1_a')], [row('1_a', { rolledBack: true })]);
    expect(one && isPending(one)).toBe(true);
    for (const [log, error] of [
      ['external connector error\n  db error: ERROR: no such column\nat line 7', 'ERROR: no such column'],
      ['external connector error\n  no such table: x\n  in 1_a', 'no such table: x in 1_a'],
      ['external connector error', undefined],
      ['x'.repeat(400), `${'x'.repeat(300)} ...`],
    ] as const)
      expect(schemaStates([file('1_a')], [row('1_a', { finished: false, log })])[0]?.error).toBe(error);
  });
});

describe('what is wrong, and what to type', () => {
  const problems = (
    files: readonly MigrationFile[],
    rows: readonly AppliedMigration[],
    more: Partial<SchemaInspection> = {},
  ) => schemaProblems(schemaStates(files, rows), { ...nothing, ...more });

  test.each<[string, ReturnType<typeof problems>, string | undefined, RegExp]>([
    [
      'failed',
      problems([file('1_a')], [row('1_a', { finished: false })]),
      'P3009',
      /migrate resolve --rolled-back 1_a, then .\/run.sh migrate deploy; .*migrate resolve --applied 1_a/,
    ],
    [
      'a database without a record',
      problems([file('1_a')], [], {
        hasMigrationsTable: false,
        tables: [{ schema: 'public', name: 't', rows: 1, bytes: 1, indexes: 0 }],
      }),
      'P3005',
      /migrate resolve --applied 1_a/,
    ],
    ['edited', problems([file('1_a', 'x')], [row('1_a')]), undefined, /bring the file back/],
    ['missing', problems([], [row('1_a')]), undefined, /rollback/],
    [
      'a lock that is held',
      problems([], [], { lockHolders: ['psql of "app" (process 7)'] }),
      'P1002',
      /migrate deploy ends its session.*pg_terminate_backend\(7\)/,
    ],
  ])('%s', (_what, found, code, next) => {
    expect(found).toHaveLength(1);
    expect(found[0]?.code).toBe(code);
    expect(found[0]?.next).toMatch(next);
  });

  test('nothing, where all is well, and on a new and empty database', () => {
    expect(problems([file('1_a')], [row('1_a')])).toEqual([]);
    expect(problems([file('1_a')], [], { hasMigrationsTable: false })).toEqual([]);
  });

  test('a code of Prisma is one sentence and a command; one that is unknown is left to Prisma', () => {
    expect(explainPrismaCode('P3018')).toEqual({
      meaning: 'a migration failed to apply',
      next: './run.sh migrate status shows what the database said',
    });
    expect(explainPrismaCode('P9999')).toBeUndefined();
  });
});
