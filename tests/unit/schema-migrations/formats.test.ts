import { expect, test } from 'vitest';
import type { Finding } from '../../../orchestrator/schema-migrations/lint/finding.ts';
import { formatForGithub, toSarif } from '../../../orchestrator/schema-migrations/lint/formats.ts';

const findings: readonly Finding[] = [
  {
    ...{ rule: 'drop-table', severity: 'error', destructive: true, migration: '20260101000000_x', line: 3 },
    ...{
      file: 'a b/20260101000000_x/migration.sql',
      table: 'users',
      message: 'drops the table users, 100%: all of it',
    },
  },
  {
    ...{
      rule: 'name',
      severity: 'warning',
      destructive: false,
      migration: 'x',
      file: 'x/migration.sql',
      line: 1,
    },
    ...{ message: 'its folder is called x', accepted: 'it is old' },
  },
];

test("GitHub's commands, with what would end them escaped", () => {
  const [first, second] = formatForGithub(findings).split('\n');
  expect(first).toMatch(
    /^::error file=a b\/20260101000000_x\/migration\.sql,line=3,title=drop-table::Drops the table users, 100%25: all of it\. /,
  );
  expect(second).toMatch(/^::notice .*title=name::Its folder is called x\. Accepted: it is old\. /);
});

test('SARIF 2.1.0: rules by index, places, and what was accepted is suppressed', () => {
  expect(toSarif(findings, '1.2.3')).toMatchObject({
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: { name: 'holdfast', version: '1.2.3', rules: [{ id: 'drop-table' }, { id: 'name' }] },
        },
        results: [
          {
            ...{ ruleId: 'drop-table', ruleIndex: 0, level: 'error' },
            locations: [
              {
                physicalLocation: {
                  artifactLocation: { uri: 'a%20b/20260101000000_x/migration.sql' },
                  region: { startLine: 3 },
                },
              },
            ],
          },
          {
            ruleId: 'name',
            level: 'warning',
            suppressions: [{ kind: 'inSource', justification: 'it is old' }],
          },
        ],
      },
    ],
  });
});
