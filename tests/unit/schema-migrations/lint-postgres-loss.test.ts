import { expect, test } from 'vitest';
import { postgresReviewer } from '../../../orchestrator/schema-migrations/lint/postgres/lint.ts';
import { schemaBefore } from '../../fixtures/lint/postgres.ts';

/** What the lint says of one migration after the schema that the cases have. */
async function remarks(sql: string) {
  const review = await postgresReviewer();
  review(schemaBefore);
  return review(sql).remarks;
}

test.each([
  ['DROP DATABASE other;', true],
  ['DROP TABLESPACE fast;', true],
  ['DROP SUBSCRIPTION s;', true],
  ['DROP ROLE reader;', false],
  ['CREATE DATABASE other;', false],
])('what no snapshot of this database brings back is asked about: %s is a loss: %s', async (sql, loss) => {
  const found = (await remarks(sql)).filter(({ rule }) => rule === 'server-wide');
  expect(found).toHaveLength(1);
  expect(found[0]?.destructive ?? false).toBe(loss);
});

test('large objects that are taken away, or written over, are asked about', async () => {
  const sql = `SELECT lo_unlink(oid) FROM pg_largeobject_metadata; SELECT lo_put(oid, 0, '') FROM pg_largeobject_metadata;`;
  expect(await remarks(sql)).toMatchObject([{ destructive: true }, { destructive: true }]);
});
